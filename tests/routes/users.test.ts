/** The account behind a token: the database decides on every request, in one round trip. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { countingProxy } from '../support/counting-proxy.ts';
import { createDatabase } from '../support/database.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { claimsOf, expectProblem, full, limited, login, sendOtp, verifyOtp } from './people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
});
afterAll(() => app.close());

const me = (token?: string, target = app) => target.call('GET', '/v1/users/me', { token });

test('tells who the token is of, and nothing secret', async () => {
  const { access, phone, userId } = await limited(app, { pin: '482915' });
  const answer = await me(access);
  expect(answer).toMatchObject({
    status: 200,
    body: {
      user_id: userId,
      name: 'Ada Byron',
      phone,
      email: null,
      email_verified: false,
      status: 'active',
      account_tier: 'LIMITED',
      roles: [],
      scope: 'profile:read kyc:write',
      pin_set: true,
      session_id: claimsOf(access).sid,
    },
  });
  expect(answer.text).not.toMatch(/hash|argon2|482915|1990-12-10/);
  expect(answer.headers['cache-control']).toBe('no-store');
});

test('a revoked session, a blocked and an archived account are 401 with the very next request', async () => {
  const write = app.services.db.writes;
  for (const status of ['blocked', 'archived', 'deleted']) {
    const { access, userId } = await limited(app);
    expect((await me(access)).status).toBe(200);
    await write`update accounts set status = ${status} where id = ${userId}`;
    const refused = await me(access);
    expectProblem(refused, 401, 'invalid_token');
    expect(refused.headers['www-authenticate']).toBe('Bearer error="invalid_token"');
    await write`update accounts set status = 'active' where id = ${userId}`;
    expect((await me(access)).status).toBe(200);
    await write`update sessions set revoked_at = now() where account_id = ${userId}`;
    expectProblem(await me(access), 401, 'invalid_token');
  }
});

test('every reason a token is not good for is the same 401', async () => {
  const { access, token: flowToken } = await limited(app);
  const [head, payload, signature] = access.split('.') as [string, string, string];
  const forged = (claims: object) => Buffer.from(JSON.stringify(claims)).toString('base64url');
  const none = forged({ alg: 'none', typ: 'at+jwt' });
  const raised = forged({ ...claimsOf(access), tier: 'FULL', aud: app.services.config.jwt.audience });
  const tokens = [
    'nonsense',
    flowToken,
    `${none}.${payload}.`,
    `${none}.${raised}.${signature}`,
    `${head}.${raised}.${signature}`,
    `${head}.${payload}`,
    `${head}.${payload}.${signature.slice(0, -4)}AAAA`,
    'a'.repeat(4096),
  ];
  const answers = await Promise.all(tokens.map((token) => me(token)));
  for (const answer of answers) expectProblem(answer, 401, 'invalid_token');
  expect(new Set(answers.map(({ body: { request_id: _, ...rest } }) => JSON.stringify(rest))).size).toBe(1);
  expectProblem(await me(), 401, 'unauthenticated');
  expectProblem(await app.call('GET', `/v1/users/me?access_token=${access}`), 401, 'unauthenticated');
  expectProblem(await app.call('GET', `/v1/users/me?token=${access}`), 401, 'unauthenticated');
  app.clock.advance(931_000);
  expectProblem(await me(access), 401, 'invalid_token');
});

test('a login from before KYC goes on with the tier of now', async () => {
  const person = await full(app);
  expect(claimsOf(person.access).tier).toBe('LIMITED');
  expect((await me(person.access)).body).toMatchObject({ account_tier: 'FULL', scope: '*' });
});

test('sessions are separate: ending one leaves the other', async () => {
  const { phone, access } = await limited(app);
  app.clock.advance(1500);
  const second = (await login(app, phone)).body;
  await app.services.db.writes`update sessions set revoked_at = now() where id = ${second.session_id}`;
  expectProblem(await me(second.access_token), 401, 'invalid_token');
  expect((await me(access)).status).toBe(200);
});

test('me costs one round trip to the database; a step of a flow at most four', async () => {
  const database = await createDatabase();
  const proxy = await countingProxy(database.url);
  const counted = await createTestApp({ databaseUrl: proxy.url });
  try {
    const { access, phone } = await limited(counted);
    await me(access, counted);
    await counted.relay.drain();
    counted.clock.advance(1500);
    const cost = async (work: () => Promise<{ status: number }>) => {
      const before = proxy.roundTrips();
      expect((await work()).status).toBe(200);
      return proxy.roundTrips() - before;
    };
    for (let i = 0; i < 5; i++) expect(await cost(() => me(access, counted))).toBe(1);
    await counted.relay.stop();
    const sent: { body: { flow_token: string } }[] = [];
    expect(
      await cost(async () => {
        const answer = await sendOtp(counted, phone);
        sent.push(answer);
        return answer;
      }),
    ).toBeLessThanOrEqual(2);
    const token = sent[0]?.body.flow_token;
    expect(await cost(() => verifyOtp(counted, phone, '000000', token))).toBeLessThanOrEqual(4);
  } finally {
    await counted.close();
    await proxy.close();
    await database.drop();
  }
});
