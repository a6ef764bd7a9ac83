/** Hostile input against the real routes: each is a problem of the catalogue, costs nothing and changes nothing. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listen, raw } from '../plugins/http.ts';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import {
  codeOf,
  demoAndReal,
  expectProblem,
  limited,
  preUser,
  realPhone,
  sendOtp,
  startSignup,
  verifyOtp,
  verifySignup,
} from './people.ts';
import { routeTable } from './route-table.ts';

let demo: TestApp;
let real: TestApp;
let port: number;
beforeAll(async () => {
  [demo, real] = await demoAndReal();
  port = await listen(demo.server);
});
afterAll(() => Promise.all([demo.close(), real.close()]));

describe('the route table', () => {
  /** Answers without any credential, by intention. */
  const PUBLIC = new Set([
    'GET /',
    'GET /health',
    'GET /health/ready',
    'GET /health/live',
    'GET /.well-known/jwks.json',
    'GET /v1/auth/.well-known/jwks.json',
    'GET /openapi.json',
    'GET /problems',
    'GET /problems/:code',
    'POST /v1/auth/send-otp',
    'POST /v1/auth/verify-otp',
    'POST /v1/auth/signup/phone',
    'POST /v1/auth/signup/verify-otp',
    'POST /v1/auth/password/reset-request',
    'POST /v1/auth/password/reset',
    'POST /v1/auth/contact-change/undo',
    'POST /v1/auth/register',
    'POST /v1/auth/verify-email',
    'POST /v1/auth/resend-verification',
    'POST /v1/auth/login',
    'POST /v1/auth/mfa/verify',
    'POST /v1/auth/passkey',
    'POST /v1/auth/passkey/options',
    'GET /.well-known/webauthn',
    'GET /api/v1/health',
    'POST /api/v1/auth/send-code',
    'POST /api/v1/auth/verify-code',
    'POST /balance_hub/auth/register',
    'POST /balance_hub/auth/verify-email',
    'POST /balance_hub/auth/resend-verification',
    'POST /balance_hub/auth/password/forget',
    'POST /balance_hub/auth/password/reset',
    'POST /balance_hub/auth/login',
    'POST /balance_hub/auth/logout',
    'GET /v1/flows/definitions',
    'GET /v1/flows/definitions/:machine',
    'GET /v1/flows/definitions/:machine/diagram',
    'POST /v1/flows/definitions/:machine/simulate',
    'GET /dev/inbox',
    'GET /dev/clock',
    'POST /dev/clock',
    'GET /dev/inbox/latest',
  ]);
  /** Demand a credential that may stand in the body, so the body is judged first: these are well formed. */
  const BODIES: Record<string, object> = {
    'POST /v1/auth/login/step-up': { pin: '482915' },
    'POST /v1/auth/signup/set-password': { password: 'StrongPassword@123' },
    'POST /v1/auth/signup/profile': { first_name: 'Ada', last_name: 'Byron' },
  };
  /** Pages for people: documentation, and the console behind a guard of its own. */
  const PAGES = /^[A-Z]+ \/(docs|redoc|console|dev\/inspect|dev\/inspect\.js|dev\/api)(\/|$)/;

  test('has no route that is neither public by intention nor closed without a credential', async () => {
    const open: string[] = [];
    for (const { method, path } of routeTable(demo.server)) {
      const name = `${method} ${path}`;
      if (PUBLIC.has(name) || PAGES.test(name)) continue;
      const url = path.replace(/:[a-z_]+/g, '01a1fadd-8c9e-7652-8b63-71d702ceef87');
      const body = BODIES[name];
      const answer = await demo.call(method as 'GET', url, body ? { body } : {});
      if (answer.status !== 401) open.push(`${name} ${answer.status}`);
    }
    expect(open).toEqual([]);
  });

  test('has every public route that is listed', () => {
    const registered = new Set(routeTable(demo.server).map(({ method, path }) => `${method} ${path}`));
    expect([...PUBLIC, ...Object.keys(BODIES)].filter((name) => !registered.has(name))).toEqual([]);
  });

  /** One credential of each kind, so that bodies behind authentication are judged too. */
  async function credentials(): Promise<Record<string, Record<string, string>>> {
    const person = await limited(demo);
    const flow = await preUser(demo, freshPhone());
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` });
    return {
      anonymous: {},
      person: bearer(person.access),
      flow: bearer(flow),
      admin: bearer(demo.secrets.adminToken),
    };
  }

  test.each(['anonymous', 'person', 'flow', 'admin'])(
    'answers no nonsense with 5xx: any method and body on any path, as %s',
    async (who) => {
      const wrong: string[] = [];
      const headers = (await credentials())[who];
      const bodies = [
        '',
        '{}',
        '[]',
        'null',
        '"x"',
        '0',
        '{"phone":null}',
        '{"a":{"a":{"a":{}}}}',
        '{"phone":',
        '\u0000',
      ];
      for (const { path } of routeTable(demo.server)) {
        if (/events|docs|redoc|console|inspect/.test(path)) continue;
        const url = path.replace(/:[a-z_]+/g, '%00').replace('*', 'x');
        for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const)
          for (const payload of method === 'POST' ? bodies : bodies.slice(0, 2)) {
            const answer = await demo.server.inject({
              method,
              url,
              headers: { 'content-type': 'application/json', ...headers },
              ...(method === 'GET' || method === 'HEAD' ? {} : { payload }),
            });
            if (answer.statusCode >= 500) wrong.push(`${method} ${path} ${payload}: ${answer.body}`);
          }
      }
      expect(wrong).toEqual([]);
    },
  );
});

describe('a code that is no code', () => {
  const NO_CODES: unknown[] = [
    '',
    null,
    [],
    ['000000'],
    {},
    0,
    123456,
    true,
    '12345',
    '1234567',
    '12345a',
    '+12345',
    '1e5000',
    '0x1234',
    '12 456',
  ];
  test('is 400 at /body/otp, and no attempt is consumed', async () => {
    const phone = realPhone();
    const token = (await sendOtp(real, phone)).body.flow_token;
    const code = await codeOf(real, phone);
    for (const otp of NO_CODES) {
      const answer = await real.call('POST', '/v1/auth/verify-otp', { token, body: { phone, otp } });
      expectProblem(answer, 400, 'validation_failed');
      expect(answer.body.errors.map((e: { pointer: string }) => e.pointer)).toEqual(['/body/otp']);
      expect(answer.body.valid).toBeUndefined();
      const signup = await real.call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp } });
      expectProblem(signup, 400, 'validation_failed');
    }
    expectProblem(
      await real.call('POST', '/v1/auth/verify-otp', { token, body: { phone } }),
      400,
      'validation_failed',
    );
    const [row] = await real.services.db.writes`
      select (snapshot->'context'->'code'->>'attemptsLeft')::int as holder,
             (snapshot->'context'->'code'->>'openAttemptsLeft')::int as others
      from flows where purpose = 'login' order by created_at desc limit 1`;
    expect(row).toEqual({ holder: 5, others: 5 });
    expect((await verifyOtp(real, phone, code, token)).status).toBe(200);
  });

  test('before anything was sent is refused like a wrong one, also the demo’s own code', async () => {
    expectProblem(await verifyOtp(demo, freshPhone(), '000000'), 400, 'invalid_code');
    expectProblem(await verifySignup(demo, freshPhone(), '000000'), 400, 'invalid_code');
    expectProblem(await verifyOtp(real, realPhone(), '000000'), 400, 'invalid_code');
  });
});

test('phones: one spelling of many, nothing premium, foreign, extended or full-width', async () => {
  const send = (phone: unknown) => demo.call('POST', '/v1/auth/send-otp', { body: { phone } });
  const owner = freshPhone();
  const digits = owner.slice(1);
  const spelled = `+${digits[0]} (${digits.slice(1, 4)}) ${digits.slice(4, 7)}-${digits.slice(7, 9)}.${digits.slice(9)}`;
  const started = await startSignup(demo, spelled);
  expect(started.body.phone).toBe(owner);
  for (const phone of [
    '',
    ' ',
    '+',
    '15555555555',
    '+1555555555',
    '++15555555555',
    '+0155555555555',
    '00915555555555',
    '+15555555555 ext 5',
    '+15555555555;ext=5',
    '+15555555555x5',
    '+1 555 CALL NOW',
    '＋１５５５５５５５５５５',
    '+١٥٥٥٥٥٥٥٥٥٥',
    '+15555555555\u0000',
    '+19005551234',
    '+4490912345678',
    '+1'.padEnd(40, '5'),
    '+1'.padEnd(5000, '5'),
    null,
    15555555555,
    ['+15555555555'],
    { $ne: null },
  ]) {
    const answer = await send(phone);
    expect([answer.status, String(phone).slice(0, 30)]).toEqual([400, String(phone).slice(0, 30)]);
    if (answer.body.code === 'validation_failed') expect(answer.body.errors[0].pointer).toBe('/body/phone');
  }
});

test('unknown members, mass assignment and prototype keys are refused by name, without an effect', async () => {
  const phone = freshPhone();
  for (const extra of [
    'account_tier',
    'tier',
    'status',
    'verified',
    'accountId',
    'purpose',
    'restart',
    'suppressed',
    'isAdmin',
  ]) {
    const answer = await demo.call('POST', '/v1/auth/signup/phone', { body: { phone, [extra]: true } });
    expectProblem(answer, 400, 'validation_failed');
    expect(answer.body.errors).toEqual([
      { pointer: `/body/${extra}`, code: 'unrecognized_key', message: 'is not known here' },
    ]);
  }
  const json = { 'content-type': 'application/json' };
  for (const body of [
    `{"phone":"${phone}","__proto__":{"admin":true}}`,
    `{"phone":"${phone}","constructor":{"prototype":{"admin":true}}}`,
    `{"phone":"${phone}","\\u005f_proto__":{}}`,
    `{"phone":"${phone}","phone":"+15555555555"}`,
    `{"phone":"${phone}"} trailing`,
    `\ufeff{"phone":"${phone}"}`,
    `{"phone":"${phone}\\u0000"}`,
    `{"phone":"\\ud800"}`,
    `{"phone":1${'0'.repeat(10_000)}}`,
    `${'{"a":'.repeat(17)}1${'}'.repeat(17)}`,
    `[${'['.repeat(20)}${']'.repeat(20)}]`,
    `{${Array.from({ length: 300 }, (_, i) => `"k${i}":1`).join(',')}}`,
    '{',
    'phone=1',
  ])
    expectProblem(
      await demo.call('POST', '/v1/auth/signup/phone', { body, headers: json }),
      400,
      'malformed_body',
    );
  const [row] = await demo.services.db
    .writes`select count(*)::int as n from contacts where canonical = ${phone}`;
  expect(row?.n).toBe(0);
});

test('bodies of another type, compressed or too large are refused unread', async () => {
  const body = JSON.stringify({ phone: freshPhone() });
  const type = (value: string, more: Record<string, string> = {}) =>
    demo.call('POST', '/v1/auth/send-otp', { body, headers: { 'content-type': value, ...more } });
  for (const value of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/jsonx',
    'application/json; charset=utf-16',
    'application/ld+json',
    'text/json',
  ])
    expectProblem(await type(value), 415, 'unsupported_media_type');
  expectProblem(
    await type('application/json', { 'content-encoding': 'gzip' }),
    415,
    'unsupported_media_type',
  );
  const large = { phone: 'x'.repeat(16 * 1024) };
  expectProblem(await demo.call('POST', '/v1/auth/send-otp', { body: large }), 413, 'payload_too_large');
  expect((await type('application/json; charset=utf-8')).status).toBe(200);
});

test('an address with line breaks and a record of its own is refused, and is one record in the log', async () => {
  const lines: string[] = [];
  const logged = await createTestApp({
    env: { LOG_LEVEL: 'info', LOG_FORMAT: 'json' },
    logStream: { write: (line) => void lines.push(line) },
  });
  try {
    lines.length = 0;
    const email = 'a@b.co\r\n{"level":30,"msg":"login ok","user":"admin"}\n';
    const answer = await logged.call('POST', '/v1/auth/register', {
      body: { email, password: 'Correct-Horse-77', name: 'Ada' },
      headers: { 'user-agent': 'x\ty "msg":"login ok"' },
    });
    expectProblem(answer, 400, 'validation_failed');
    expect(lines).toHaveLength(1);
    expect(lines[0]!.trimEnd().split('\n')).toHaveLength(1);
    expect(JSON.parse(lines[0]!)).toMatchObject({
      msg: 'request',
      status: 400,
      problem: 'validation_failed',
    });
    expect(lines[0]).not.toContain('login ok');
    expect(answer.text).not.toContain('login ok');
  } finally {
    await logged.close();
  }
});

test('codes in the inbox and the clock answer to this machine’s own names only', async () => {
  const before = demo.clock.offset();
  for (const host of ['evil.example', 'localhost.evil.example:8000', '127.0.0.1.nip.io', '10.0.0.1:8000']) {
    const headers = { host };
    for (const path of ['/dev/inbox', '/dev/inbox/latest?to=x', '/dev/clock'])
      expectProblem(await demo.call('GET', path, { headers }), 421, 'misdirected_request');
    const moved = await demo.call('POST', '/dev/clock', { headers, body: { advance_seconds: 60 } });
    expectProblem(moved, 421, 'misdirected_request');
  }
  expect(demo.clock.offset()).toBe(before);
  for (const host of ['localhost:8000', '127.0.0.1', '[::1]:8000', 'LOCALHOST.'])
    expect((await demo.call('GET', '/dev/inbox', { headers: { host } })).status, host).toBe(200);
});

test('methods: HEAD like GET, what a path does not know is 405 with a true Allow, what the service does not know 501', async () => {
  const head = await demo.server.inject({ method: 'HEAD', url: '/health' });
  expect([head.statusCode, head.body]).toEqual([200, '']);
  const put = await demo.call('PUT', '/v1/kyc', { body: {} });
  expectProblem(put, 405, 'method_not_allowed');
  expect(put.headers.allow).toMatch(/GET.*POST|POST.*GET/);
  expectProblem(await demo.call('GET', '/v1/auth/send-otp'), 405, 'method_not_allowed');
  expectProblem(await demo.call('GET', '/v1/nothing'), 404, 'not_found');
  expectProblem(await demo.call('GET', '/V1/users/me'), 404, 'not_found');
  const send = (method: string, path: string, more = '') =>
    raw(port, [`${method} ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`]);
  const body = 'Content-Type: text/xml\r\nContent-Length: 4\r\n\r\n<a/>';
  for (const method of ['TRACE', 'PROPFIND', 'LOCK', 'QUERY', 'PURGE', 'REPORT'])
    for (const more of ['', body]) {
      const known = await send(method, '/v1/kyc?x=1', more);
      expect([method, known.status, known.headers.allow]).toEqual([method, 405, 'GET, HEAD, POST, OPTIONS']);
      const unknown = await send(method, '/v1/nothing', more);
      expect([method, unknown.status, unknown.headers.allow]).toEqual([method, 501, undefined]);
    }
  for (const method of ['BREW', 'CONNECT']) expect((await send(method, '/v1/kyc')).status).toBe(501);
  for (const method of ['PUT', 'PATCH', 'DELETE'])
    expect((await send(method, '/v1/kyc', body)).headers.allow).toBe('GET, HEAD, POST, OPTIONS');
});

test('credentials: two Authorization headers, tokens in the query or elsewhere are no credentials', async () => {
  const { access } = await limited(demo);
  const ask = (lines: string[]) =>
    raw(port, [
      `GET /v1/users/me HTTP/1.1\r\nHost: x\r\n${lines.map((l) => `${l}\r\n`).join('')}Connection: close\r\n\r\n`,
    ]);
  expect((await ask([`Authorization: Bearer ${access}`])).status).toBe(200);
  expect((await ask([`Authorization: Bearer ${access}`, `Authorization: Bearer ${access}`])).status).toBe(
    401,
  );
  expect((await ask([`Authorization: Bearer ${access}`, 'authorization: Bearer x'])).status).toBe(401);
  expect((await ask([`X-Authorization: Bearer ${access}`, `Cookie: access_token=${access}`])).status).toBe(
    401,
  );
  const token = await preUser(demo, freshPhone());
  for (const name of ['flow_token', 'token', 'access_token'])
    expectProblem(await demo.call('GET', `/v1/auth/signup?${name}=${token}`), 401, 'unauthenticated');
});

test('forwarding headers of a peer that is not trusted change nothing', async () => {
  const spoofed = {
    'x-forwarded-for': '203.0.113.9',
    'x-real-ip': '203.0.113.9',
    forwarded: 'for=203.0.113.9',
    'cf-connecting-ip': '203.0.113.9',
    'x-forwarded-host': 'evil.example',
    'x-forwarded-proto': 'https',
  };
  const { body } = await demo.call('POST', '/v1/auth/send-otp', {
    body: { phone: freshPhone() },
    headers: spoofed,
  });
  const rows = await demo.services.db
    .writes`select network from audit_events where flow_id = ${body.flow_id}`;
  expect(rows.map((r) => r.network)).toEqual(['127.0.0.1']);
  const root = await demo.call('GET', '/', { headers: spoofed });
  expect(root.text).not.toContain('evil.example');
});
