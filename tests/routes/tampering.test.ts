/** Requests that ask for more than they may: hidden switches, other spellings of a path, events and verdicts of their own. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { listen, raw } from '../plugins/http.ts';
import { freshPhone, type TestApp } from '../support/app.ts';
import { query } from '../support/people.ts';
import { signUp } from '../support/signed-in.ts';
import {
  ADULT,
  codeOf,
  demoAndReal,
  expectProblem,
  limited,
  PASSWORD,
  preUser,
  realPhone,
  startSignup,
} from './people.ts';

let demo: TestApp;
let real: TestApp;
let port: number;
beforeAll(async () => {
  [demo, real] = await demoAndReal();
  port = await listen(demo.server);
});
afterAll(() => Promise.all([demo.close(), real.close()]));

describe('no switch of a request makes an answer tell a code or a token', () => {
  const QUERIES = ['', '?debug=1', '?debug', '?verbose=true&env=test', '?format=text'];
  const HEADERS: Record<string, string>[] = [
    {},
    { accept: '*/*' },
    { accept: 'text/plain' },
    { accept: 'text/html,application/xml;q=0.9' },
    { 'x-debug': '1', debug: 'true', 'x-log-level': 'trace', 'x-test-mode': '1' },
    { prefer: 'return=representation' },
  ];
  const variants = QUERIES.flatMap((asked) => HEADERS.map((headers) => ({ asked, headers })));
  const heard = (answer: { text: string; headers: object }) => answer.text + JSON.stringify(answer.headers);

  test.each(['/v1/auth/send-otp', '/v1/auth/signup/phone'])('%s', async (path) => {
    for (const { asked, headers } of variants) {
      const phone = realPhone();
      const answer = await real.call('POST', path + asked, { headers, body: { phone } });
      expect([200, 400]).toContain(answer.status);
      if (answer.status === 200) expect(heard(answer)).not.toContain(await codeOf(real, phone));
      const head = await real.server.inject({ method: 'HEAD', url: path + asked, headers });
      expect([head.statusCode, head.body]).toEqual([405, '']);
    }
  });

  test('/v1/auth/password/reset-request', async () => {
    const { userId } = await limited(real);
    const id = createKeyring(real.secrets.masterKey).lookupId('email', 'owner@example.com');
    await query(
      real,
      `insert into contacts (id, type, canonical, value, account_id, verified_at, created_at)
       values ($1, 'email', 'owner@example.com', 'owner@example.com', $2, now(), now())`,
      [id, userId],
    );
    for (const { asked, headers } of variants.slice(0, 12)) {
      const body = { email: 'owner@example.com' };
      const answer = await real.call('POST', `/v1/auth/password/reset-request${asked}`, { headers, body });
      expect([200, 400]).toContain(answer.status);
      const [flow] = await query<{ id: string; token_generation: string }>(
        real,
        "select id, token_generation from flows where machine = 'recovery' order by created_at desc limit 1",
      );
      const token = createKeyring(real.secrets.masterKey).flowTokenFor(
        flow!.id,
        Number(flow!.token_generation),
      );
      for (const secret of [token, ...token.split('.'), flow!.id])
        expect(heard(answer)).not.toContain(secret);
    }
  });
});

describe('another spelling of a path opens nothing', () => {
  const bare = (target: string, more: string[] = [], method = 'GET') =>
    raw(port, [
      `${method} ${target} HTTP/1.1\r\nHost: localhost\r\n${more.map((l) => `${l}\r\n`).join('')}Connection: close\r\n\r\n`,
    ]);

  test.each([
    '/v1/users/me;.js',
    '/v1/users/me;jsessionid=1',
    '/v1/users/me.json',
    '//v1/users/me',
    '/v1//users//me',
    '/v1/users/me/',
    '/v1/users/%6de',
    '/v1/users/me%20',
    '/v1/users/me%00',
    '/health/%2e%2e/v1/users/me',
    '/health/../v1/users/me',
    '/health/..%2fv1/users/me',
    '/health/..;/v1/users/me',
    '/%2e/v1/users/me',
    '/v1/users/me?path=/health',
    'http://localhost/v1/users/me',
  ])('%s', async (target) => {
    const answer = await bare(target);
    expect([400, 401, 404]).toContain(answer.status);
    expect(answer.text).not.toContain('user_id');
  });

  test('headers that name another path or method change neither', async () => {
    const person = await signUp(demo);
    const token = `Authorization: Bearer ${person.access}`;
    for (const name of [
      'X-Original-URL',
      'X-Rewrite-URL',
      'X-Forwarded-Path',
      'X-Forwarded-Uri',
      'X-Middleware-Subrequest',
    ]) {
      expect((await bare('/v1/users/me', [`${name}: /health`])).status, name).toBe(401);
      const health = await bare('/health', [`${name}: /v1/users/me`, token]);
      expect([health.status, health.body.includes(person.userId)], name).toEqual([200, false]);
    }
    for (const name of ['X-HTTP-Method-Override', 'X-HTTP-Method', 'X-Method-Override']) {
      const session = `/v1/auth/sessions/${person.sessionId}`;
      expect((await bare(session, [`${name}: DELETE`, token])).status, name).toBe(405);
      expect((await bare('/v1/users/me', [`${name}: DELETE`, token])).status, name).toBe(200);
      expect(
        (await bare('/v1/users/me?_method=DELETE', [`${name}: DELETE`, token, 'Content-Length: 0'], 'POST'))
          .status,
      ).toBe(405);
    }
    expect((await demo.call('GET', '/v1/users/me', { token: person.access })).status).toBe(200);
  });
});

test('events and verdicts named in a request are refused, and the flow stays where it is', async () => {
  const phone = freshPhone();
  const { flow_token: token, flow_id: id } = (await startSignup(demo, phone)).body;
  const row = () => query(demo, 'select version, state, snapshot from flows where id = $1', [id]);
  const before = await row();
  const accounts = () =>
    query(demo, 'select count(*)::int as n from accounts where tier <> $1', ['UNVERIFIED']);
  const tiers = await accounts();
  const claims: Record<string, unknown>[] = [
    { type: 'OTP_VERIFIED' },
    { type: 'KYC_APPROVED' },
    { event: 'CODE_CHECKED' },
    { event: { type: 'CODE_CHECKED', verdict: { counter: 1, matches: true, holder: true, lockMs: 0 } } },
    { verdict: { counter: 1, matches: true } },
    { holder: true },
    { owner: null },
    { grant: true },
    { risk: { decision: 'ALLOW', reasons: [], at: 0 } },
    { presented: 'token' },
    { state: 'FULL' },
    { kycId: id, sequence: 99 },
  ];
  const bodies: [path: string, body: object][] = [
    ['/v1/auth/signup/phone', { phone }],
    ['/v1/auth/signup/verify-otp', { phone, otp: '111111' }],
    ['/v1/auth/signup/set-password', { password: PASSWORD }],
    ['/v1/auth/signup/profile', ADULT],
    ['/v1/auth/verify-email', { code: '111111' }],
    ['/v1/auth/verify-otp', { phone, otp: '111111' }],
    ['/v1/auth/login/step-up', { pin: '482915' }],
  ];
  for (const [path, body] of bodies) {
    for (const claim of claims) {
      const answer = await demo.call('POST', path, { token, body: { ...body, ...claim } });
      expectProblem(answer, 400, 'validation_failed');
      expect(answer.body.errors[0].code, path).toBe('unrecognized_key');
    }
  }
  expect(await row()).toEqual(before);
  expect(await accounts()).toEqual(tiers);
  const { access } = await limited(demo);
  const kyc = { document_type: 'PAN', document_number: 'ABCDE1234F' };
  for (const claim of claims) {
    expectProblem(
      await demo.call('POST', '/v1/kyc', { token: access, body: { ...kyc, ...claim } }),
      400,
      'validation_failed',
    );
  }
  expect((await demo.call('GET', '/v1/kyc', { token: access })).body.state).toBe('LIMITED.kyc_none');
});

describe('tokens and ids cannot be guessed', () => {
  /** 256 bits, each as often set as not: five standard deviations. */
  function expectRandom(secrets: Buffer[]) {
    const bits = secrets[0]!.length * 8;
    const spread = 5 * Math.sqrt(secrets.length / 4);
    for (let bit = 0; bit < bits; bit++) {
      const ones = secrets.filter((secret) => (secret[bit >> 3]! >> (bit & 7)) & 1).length;
      expect(Math.abs(ones - secrets.length / 2), `bit ${bit}`).toBeLessThan(spread);
    }
    expect(new Set(secrets.map((secret) => secret.toString('hex'))).size).toBe(secrets.length);
    expect(new Set(secrets.map((secret) => secret.toString('hex').slice(0, 12))).size).toBe(secrets.length);
  }

  test('of 400 flow tokens and the codes they stand for', async () => {
    const tokens: string[] = [];
    for (let i = 0; i < 400; i++) {
      const { body } = await demo.call('POST', '/v1/auth/send-otp', { body: { phone: freshPhone() } });
      tokens.push(body.flow_token);
    }
    for (const token of tokens) expect(token).toMatch(/^[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}$/);
    expectRandom(tokens.map((token) => Buffer.from(token.split('.')[1]!, 'base64url')));
    // Ids begin with the time; what follows is random.
    const tails = tokens.map((token) => Buffer.from(token.split('.')[0]!, 'base64url').subarray(9));
    expect(new Set(tails.map((tail) => tail.toString('hex'))).size).toBe(400);
  });

  test('of refresh tokens, one per session', async () => {
    const tokens: string[] = [];
    for (let i = 0; i < 60; i++) tokens.push((await signUp(demo)).refresh);
    for (const token of tokens) expect(token).toMatch(/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]{43}$/);
    expectRandom(tokens.map((token) => Buffer.from(token.split('.').at(-1)!, 'base64url')));
  });
});

test('a token of a step earlier, cut short or of another flow is no token', async () => {
  const [mine, other] = [await preUser(demo, freshPhone()), await preUser(demo, freshPhone())];
  const forged = [
    '',
    mine.slice(0, -1),
    mine.slice(0, 23),
    mine.slice(0, 33),
    `${mine}A`,
    `${mine.slice(0, 23)}${other.slice(23)}`,
  ];
  for (const flow_token of forged) {
    const answer = await demo.call('POST', '/v1/auth/signup/set-password', {
      body: { password: PASSWORD, flow_token },
    });
    expect([400, 401], flow_token).toContain(answer.status);
  }
  for (const flow_token of [{ $gt: '' }, [mine], null, true, 0, [[mine]]]) {
    expectProblem(
      await demo.call('POST', '/v1/auth/signup/set-password', { body: { password: PASSWORD, flow_token } }),
      400,
      'validation_failed',
    );
  }
});
