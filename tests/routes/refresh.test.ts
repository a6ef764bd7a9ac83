/** Refresh tokens through the API: rotation, grace, reuse, ends, transports. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { refreshTokenFor } from '../../src/kernel/tokens/refresh-secret.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { logIn, onDatabase, signUp } from '../support/signed-in.ts';

const DAY = 86_400_000;
let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
});
afterAll(() => app.close());

const refresh = (refresh_token: string) => app.call('POST', '/v1/auth/refresh', { body: { refresh_token } });
const byCookie = (token: string, headers: Record<string, string> = {}) =>
  app.call('POST', '/v1/auth/refresh', { headers: { cookie: `refresh_token=${token}`, ...headers } });
const me = async (token: string) => (await app.call('GET', '/v1/users/me', { token })).status;
const set = (headers: { [name: string]: unknown }) => String(headers['set-cookie'] ?? '');
const rows = (text: string, ...params: string[]) =>
  onDatabase(app.databaseUrl, (sql) => sql.unsafe(text, params));
const count = async (text: string, ...params: string[]) => Number((await rows(text, ...params))[0]?.count);
const events = (userId: string, type: string) =>
  count(
    "select count(*) from outbox where account_id = $1 and topic = 'event' and payload->>'type' = $2",
    userId,
    type,
  );

test('every refresh spends the token and gives its successor and a fresh access token', async () => {
  const person = await signUp(app);
  app.clock.advance(60_000);
  const first = await refresh(person.refresh);
  expect(first).toMatchObject({
    status: 200,
    body: {
      token_type: 'Bearer',
      expires_in: 900,
      user_id: person.userId,
      session_id: person.sessionId,
      account_tier: 'LIMITED',
      scope: 'profile:read kyc:write',
    },
  });
  expect(first.headers['set-cookie']).toBeUndefined();
  expect(await me(first.body.access_token)).toBe(200);
  const [before, after] = [decodeJwt(person.access), decodeJwt(first.body.access_token)];
  for (const claim of ['auth_time', 'acr', 'amr', 'sid', 'sub', 'aud', 'iss', 'mfa'])
    expect(after[claim], claim).toEqual(before[claim]);
  expect(after.jti).not.toBe(before.jti);
  const second = await refresh(first.body.refresh_token);
  expect(second.status).toBe(200);
  expect(second.body.refresh_token).not.toBe(first.body.refresh_token);
  const [row] = await rows(
    'select refresh_generation, refresh_hash from sessions where id = $1',
    person.sessionId,
  );
  expect(row?.refresh_generation).toBe(3);
  expect(JSON.stringify(row)).not.toContain(second.body.refresh_token);
});

test('within the grace a spent token gives the very same successor, however often and however parallel', async () => {
  const { refresh: token, sessionId } = await signUp(app);
  const answers = await Promise.all(Array.from({ length: 20 }, () => refresh(token)));
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  app.clock.advance(7_000);
  answers.push(await refresh(token));
  expect(new Set(answers.map(({ body }) => body.refresh_token)).size).toBe(1);
  expect(await count('select refresh_generation as count from sessions where id = $1', sessionId)).toBe(2);
  expect((await refresh(answers[0]?.body.refresh_token)).status).toBe(200);
});

/** One presentation of a token, as a client with this device id, user agent and address makes it. */
const refreshAs = (
  refresh_token: string,
  { device, agent, address }: { device?: string; agent?: string; address?: string },
) =>
  app.call('POST', '/v1/auth/refresh', {
    body: { refresh_token, ...(device === undefined ? {} : { device_id: device }) },
    headers: agent === undefined ? {} : { 'user-agent': agent },
    ...(address === undefined ? {} : { remoteAddress: address }),
  });

test.each([
  ['another device id', { device: 'device-one', agent: 'App/1' }, { device: 'device-two', agent: 'App/1' }],
  ['no device id any more', { device: 'device-one', agent: 'App/1' }, { agent: 'App/1' }],
  ['a device id all of a sudden', { agent: 'App/1' }, { device: 'device-one', agent: 'App/1' }],
  ['another user agent', { agent: 'App/1' }, { agent: 'Curl/8' }],
  ['no user agent any more', { agent: 'App/1' }, { agent: '' }],
])('within the grace, %s gets 401 and ends that session, and no other one', async (_, first, second) => {
  const person = await signUp(app);
  const elsewhere = await logIn(app, person.phone);
  const next = await refreshAs(person.refresh, first);
  expect(next.status).toBe(200);
  const replays = await Promise.all(Array.from({ length: 8 }, () => refreshAs(person.refresh, second)));
  for (const replay of replays)
    expect(replay).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
  expect((await refreshAs(next.body.refresh_token, first)).status).toBe(401);
  expect(await me(next.body.access_token)).toBe(401);
  expect((await refresh(elsewhere.refresh)).status).toBe(200);
  expect(await events(person.userId, 'token.reuse_detected')).toBe(1);
  expect(await events(person.userId, 'session.revoked')).toBe(1);
});

test.each([
  [
    'of the same device',
    { device: 'device-one', agent: 'App/1', address: '198.51.100.7' },
    { device: 'device-one', agent: 'App/2', address: '2001:db8::1' },
  ],
  [
    'with the same user agent',
    { agent: 'App/1', address: '198.51.100.7' },
    { agent: 'App/1', address: '203.0.113.7' },
  ],
])(
  'within the grace, a repetition %s from another network gets the same successor',
  async (_, first, second) => {
    const { refresh: token } = await signUp(app);
    const next = await refreshAs(token, first);
    const again = await refreshAs(token, second);
    expect(again).toMatchObject({ status: 200, body: { refresh_token: next.body.refresh_token } });
    expect((await refreshAs(next.body.refresh_token, second)).status).toBe(200);
  },
);

test('a client that has been updated since the login may repeat its refresh: the last rotation counts', async () => {
  const person = await signUp(app, { device_id: 'device-old', headers: { 'user-agent': 'App/1' } });
  const next = await refreshAs(person.refresh, { agent: 'App/2' });
  const again = await refreshAs(person.refresh, { agent: 'App/2' });
  expect(again).toMatchObject({ status: 200, body: { refresh_token: next.body.refresh_token } });
});

test('a stored rotation names neither the device nor the user agent that made it', async () => {
  const person = await signUp(app);
  await refreshAs(person.refresh, { device: 'device-one', agent: 'Peculiar/7' });
  const [row] = await rows('select * from sessions where id = $1', person.sessionId);
  expect(row?.refresh_client).toMatch(/^[0-9a-f]{64}$/);
  for (const clear of ['device-one', 'Peculiar']) expect(JSON.stringify(row)).not.toContain(clear);
});

test('a token spent longer ago ends every session of the user, although the answer is a 401, and says so once', async () => {
  const person = await signUp(app);
  const elsewhere = await logIn(app, person.phone);
  const somebodyElse = await signUp(app);
  const next = await refresh(person.refresh);
  app.clock.advance(10_001);
  const replays = await Promise.all(Array.from({ length: 8 }, () => refresh(person.refresh)));
  for (const replay of replays)
    expect(replay).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
  expect((await refresh(next.body.refresh_token)).status).toBe(401);
  expect((await refresh(elsewhere.refresh)).status).toBe(401);
  expect([await me(next.body.access_token), await me(elsewhere.access)]).toEqual([401, 401]);
  expect(await me(somebodyElse.access)).toBe(200);
  expect(await events(person.userId, 'token.reuse_detected')).toBe(1);
  expect(await events(person.userId, 'session.revoked')).toBe(2);
  expect(
    await count(
      "select count(*) from audit_events where account_id = $1 and type = 'token.reuse_detected' and outcome = 'failure'",
      person.userId,
    ),
  ).toBe(1);
  expect(
    await count(
      'select (event_seq - (select max(account_seq) from outbox o where o.account_id = a.id)) as count from accounts a where id = $1',
      person.userId,
    ),
  ).toBe(0);
});

test('a token two generations old is reuse even within the grace', async () => {
  const person = await signUp(app);
  const second = await refresh(person.refresh);
  const third = await refresh(second.body.refresh_token);
  expect((await refresh(person.refresh)).status).toBe(401);
  expect((await refresh(third.body.refresh_token)).status).toBe(401);
  expect(await events(person.userId, 'token.reuse_detected')).toBe(1);
});

test('use postpones the end by inactivity, never the absolute one', async () => {
  const person = await signUp(app, { persist_session: true });
  const end = Number(
    (
      await rows(
        'select extract(epoch from expires_at) * 1000 as at from sessions where id = $1',
        person.sessionId,
      )
    )[0]?.at,
  );
  expect(end - app.clock.now()).toBeGreaterThan(89.9 * DAY);
  let token = person.refresh;
  for (let day = 13; day < 90; day += 13) {
    app.clock.advance(13 * DAY);
    if (app.clock.now() >= end) break;
    const answer = await refresh(token);
    expect(answer.status, `day ${day}`).toBe(200);
    token = answer.body.refresh_token;
  }
  app.clock.advance(end - app.clock.now());
  expect((await refresh(token)).status).toBe(401);
  expect(await events(person.userId, 'token.reuse_detected')).toBe(0);
});

test('fourteen days without use end a persistent session; any other ends fourteen days after login', async () => {
  const idle = await signUp(app, { persist_session: true });
  app.clock.advance(14 * DAY);
  expect((await refresh(idle.refresh)).status).toBe(401);
  const short = await signUp(app);
  app.clock.advance(13 * DAY);
  const used = await refresh(short.refresh);
  expect(used.status).toBe(200);
  app.clock.advance(DAY);
  expect((await refresh(used.body.refresh_token)).status).toBe(401);
});

test.each(['blocked', 'deleted', 'archived'])(
  'a %s account gets no token, and is found out at once',
  async (status) => {
    const person = await signUp(app);
    await rows('update accounts set status = $2 where id = $1', person.userId, status);
    expect((await refresh(person.refresh)).status).toBe(401);
    expect(await me(person.access)).toBe(401);
  },
);

test('tier, audience, scope and roles are those of now, whatever the login was granted', async () => {
  const person = await signUp(app);
  await rows("update accounts set tier = 'FULL', roles = '{trader,viewer}' where id = $1", person.userId);
  const up = await refresh(person.refresh);
  expect(up.body).toMatchObject({ account_tier: 'FULL', scope: '*' });
  expect(decodeJwt(up.body.access_token)).toMatchObject({
    aud: 'vestibule',
    tier: 'FULL',
    roles: ['trader', 'viewer'],
  });
  const login = await logIn(app, person.phone);
  expect(decodeJwt(login.access)).toMatchObject({ tier: 'FULL', roles: ['trader', 'viewer'] });
  await rows("update accounts set tier = 'LIMITED', roles = '{}' where id = $1", person.userId);
  const down = await refresh(up.body.refresh_token);
  expect(decodeJwt(down.body.access_token)).toMatchObject({ aud: 'vestibule:limited', roles: [] });
});

test('the eleventh refresh of a minute is refused without spending the token', async () => {
  const strict = await createTestApp();
  try {
    const person = await signUp(strict);
    let token = person.refresh;
    const call = (refresh_token: string) =>
      strict.call('POST', '/v1/auth/refresh', { body: { refresh_token }, remoteAddress: '203.0.113.9' });
    const limit = strict.services.config.limits.refreshSession.limit;
    for (let n = 0; n < limit; n++) {
      const answer = await call(token);
      expect(answer.status).toBe(200);
      token = answer.body.refresh_token;
    }
    const refused = await call(token);
    expect(refused).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    strict.clock.advance(strict.services.config.limits.refreshSession.windowMs + 1000);
    expect((await call(token)).status).toBe(200);
  } finally {
    await strict.close();
  }
});

test('with the cookie transport the token is in a cookie that scripts never see, and in no body', async () => {
  const person = await signUp(app, { token_transport: 'cookie', persist_session: true });
  expect(person.refresh).toBeNull();
  const cookie = set(person.headers);
  const token = /^refresh_token=([^;]+);/.exec(cookie)?.[1] ?? '';
  expect(cookie).toMatch(/; Max-Age=7776000; Path=\/; HttpOnly; SameSite=Strict$/);
  const answer = await byCookie(token);
  expect(answer).toMatchObject({ status: 200, body: { refresh_token: null } });
  const next = /^refresh_token=([^;]+);/.exec(set(answer.headers))?.[1] ?? '';
  expect(next).not.toBe(token);
  expect(answer.text).not.toContain(next);
  expect(JSON.stringify(answer.headers).split(next)).toHaveLength(2);
  app.clock.advance(11_000);
  const reuse = await byCookie(token);
  expect(reuse.status).toBe(401);
  expect(set(reuse.headers)).toMatch(/^refresh_token=; Max-Age=0; Path=\/; Expires=Thu, 01 Jan 1970/);
});

test('a cookie planted before the login is not the one after it: new session, old one untouched, dead after its end', async () => {
  const attacker = await signUp(app, { token_transport: 'cookie' });
  const cookieOf = (headers: { [name: string]: unknown }) =>
    /^refresh_token=([^;]*);/.exec(set(headers))?.[1] ?? '';
  const planted = cookieOf(attacker.headers);
  for (const value of [planted, 'chosen-by-somebody-else']) {
    const headers = { cookie: `refresh_token=${value}` };
    const victim = await signUp(app, { token_transport: 'cookie', headers });
    expect(victim.sessionId).not.toBe(attacker.sessionId);
    expect(victim.userId).not.toBe(attacker.userId);
    const own = cookieOf(victim.headers);
    expect(own).not.toBe('');
    expect(own).not.toBe(value);
    const again = await logIn(app, victim.phone, {
      token_transport: 'cookie',
      headers: { cookie: `refresh_token=${own}` },
    });
    expect(again.sessionId).not.toBe(victim.sessionId);
    await app.call('POST', '/v1/auth/logout', { token: victim.access });
    expect((await byCookie(own)).status).toBe(401);
    app.clock.advance(15 * DAY);
    expect((await byCookie(cookieOf(again.headers))).status).toBe(401);
  }
  const rows_ = await rows('select account_id from sessions where id = $1', attacker.sessionId);
  expect(rows_[0]?.account_id).toBe(attacker.userId);
});

test('without persistence the cookie ends with the browser', async () => {
  const { headers } = await signUp(app, { token_transport: 'cookie' });
  expect(set(headers)).toMatch(/HttpOnly/);
  expect(set(headers)).not.toMatch(/Max-Age|Expires/);
});

test('behind https the cookie is Secure and bound to the host by its name', async () => {
  const https = await createTestApp({ env: { PUBLIC_URL: 'https://id.example.com' } });
  try {
    const { headers } = await signUp(https, { token_transport: 'cookie' });
    expect(set(headers)).toMatch(/^__Host-refresh_token=[^;]+; Path=\/; HttpOnly; Secure; SameSite=Strict$/);
  } finally {
    await https.close();
  }
});

test('a token in the cookie and in the body, twice in the cookie, or nowhere, is no refresh', async () => {
  const { refresh: token } = await signUp(app);
  const both = await app.call('POST', '/v1/auth/refresh', {
    headers: { cookie: `refresh_token=${token}` },
    body: { refresh_token: token },
  });
  expect(both).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
  expect((await byCookie(`${token}; refresh_token=x`)).status).toBe(400);
  expect(await app.call('POST', '/v1/auth/refresh')).toMatchObject({
    status: 401,
    body: { code: 'unauthenticated' },
  });
  expect((await refresh(token)).status).toBe(200);
});

test.each([
  ['of another site', { origin: 'https://evil.test' }],
  ['of nowhere', { origin: 'null' }],
  ['of our name on another port', { origin: 'http://localhost:9999' }],
  ['that the browser calls cross-site', { 'sec-fetch-site': 'cross-site' }],
  ['of a sibling', { 'sec-fetch-site': 'same-site' }],
  ['of a liar about its site', { origin: 'https://evil.test', 'sec-fetch-site': 'same-origin' }],
])('a cookie-borne write %s is refused and spends nothing', async (_, headers) => {
  const { refresh: token } = await signUp(app);
  expect(await byCookie(token, headers as Record<string, string>)).toMatchObject({
    status: 403,
    body: { code: 'foreign_origin' },
  });
  const own = { origin: 'http://localhost:8000', 'sec-fetch-site': 'same-origin' };
  expect((await byCookie(token, own)).status).toBe(200);
});

test('text that is not ours, a stranger’s token and an access token are refused and end nothing', async () => {
  const person = await signUp(app);
  const forged = refreshTokenFor(Buffer.alloc(32, 7), person.sessionId, 1);
  const ahead = refreshTokenFor(app.services.keyring.key('refresh'), person.sessionId, 9);
  for (const token of [
    'x',
    '',
    person.access,
    `${person.refresh}A`,
    person.refresh.toLowerCase(),
    forged,
    ahead,
  ])
    expect((await refresh(token)).status, token).toBe(401);
  expect(await app.call('GET', '/v1/users/me', { token: person.refresh })).toMatchObject({ status: 401 });
  for (const body of [{ refresh_token: [person.refresh] }, { refresh_token: person.refresh, more: 1 }, []])
    expect((await app.call('POST', '/v1/auth/refresh', { body })).status).toBe(400);
  expect((await refresh(person.refresh)).status).toBe(200);
});
