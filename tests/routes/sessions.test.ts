/** Sessions through the API: the list, logout, the limit, what bites at once, and introspection. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { logIn, onDatabase, type SignedIn, signUp } from '../support/signed-in.ts';

const SERVICE = 'a-service-that-asks-0123456789abcdef';
const ADMIN = 'an-admin-token-of-forty-characters-or-more';
let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: { ...LIMITS_OFF, INTROSPECTION_TOKEN: SERVICE } });
});
afterAll(() => app.close());

const call = (method: 'GET' | 'POST' | 'DELETE', path: string, by: SignedIn, body?: unknown) =>
  app.call(method, path, { token: by.access, ...(body === undefined ? {} : { body }) });
const refresh = (refresh_token: string) => app.call('POST', '/v1/auth/refresh', { body: { refresh_token } });
const ask = (token: string, by: string | undefined = SERVICE) =>
  app.call('POST', '/v1/auth/introspect', { token: by, body: { token } });
const rows = (text: string, ...params: string[]) =>
  onDatabase(app.databaseUrl, (sql) => sql.unsafe(text, params));
const revoked = async (userId: string) =>
  (
    await rows(
      "select payload->>'reason' as reason, payload->>'session_id' as id from outbox where account_id = $1 and payload->>'type' = 'session.revoked' order by account_seq",
      userId,
    )
  ).map(({ reason, id }) => [reason, id]);

test('the list shows the caller’s own live sessions, coarsely, and no secret', async () => {
  const agent = 'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/140.0.0.0 Safari/537.36';
  const person = await signUp(app, { headers: { 'user-agent': agent }, device_id: 'device-one' });
  const phone = await logIn(app, person.phone, { headers: { 'user-agent': 'curl/8.5.0' } });
  await signUp(app);
  const { status, body, text } = await call('GET', '/v1/auth/sessions', phone);
  expect(status).toBe(200);
  expect(body.total).toBe(2);
  expect(body.sessions).toMatchObject([
    { session_id: phone.sessionId, device: 'curl', ip: '127.0.0.0/24', country: null, current: true },
    { session_id: person.sessionId, device: 'Chrome on Windows', current: false },
  ]);
  expect(body.sessions[1].device_fingerprint).toMatch(/^[0-9a-f]{32}$/);
  for (const secret of [person.refresh, phone.refresh, 'device-one', 'refreshHash'])
    expect(text).not.toContain(secret);
});

test('a session’s country is what a trusted proxy says, and nobody else', async () => {
  const behind = await createTestApp({ env: { TRUST_PROXY: '10.0.0.1', COUNTRY_HEADER: 'CF-IPCountry' } });
  const countryFor = async (remoteAddress: string, headers: Record<string, string>) => {
    const { phone } = await signUp(behind);
    behind.clock.advance(4000);
    await behind.call('POST', '/v1/auth/send-otp', { body: { phone } });
    const body = { phone, otp: '000000' };
    const login = await behind.call('POST', '/v1/auth/verify-otp', { body, headers, remoteAddress });
    const listed = await behind.call('GET', '/v1/auth/sessions', { token: login.body.access_token });
    return listed.body.sessions.find((one: { current: boolean }) => one.current).country;
  };
  try {
    const said = { 'cf-ipcountry': 'DE', 'x-forwarded-for': '203.0.113.7' };
    expect(await countryFor('10.0.0.1', said)).toBe('DE');
    expect(await countryFor('10.0.0.1', { ...said, 'cf-ipcountry': 'XX' })).toBeNull();
    expect(await countryFor('10.0.0.1', { ...said, 'cf-ipcountry': 'Germany' })).toBeNull();
    expect(await countryFor('198.51.100.1', said)).toBeNull();
  } finally {
    await behind.close();
  }
});

test('logout ends this session at once, for its access token and its refresh token, and only this one', async () => {
  const here = await signUp(app);
  const there = await logIn(app, here.phone);
  const out = await call('POST', '/v1/auth/logout', here);
  expect(out).toMatchObject({ status: 200, body: { sessions_revoked: 1 } });
  expect(out.headers['set-cookie']).toBeUndefined();
  expect((await refresh(here.refresh)).status).toBe(401);
  for (const path of ['/v1/users/me', '/v1/auth/sessions', '/v1/kyc'])
    expect((await call('GET', path, here)).status, path).toBe(401);
  expect((await call('POST', '/v1/auth/logout', here)).status).toBe(401);
  expect((await refresh(there.refresh)).status).toBe(200);
  expect(await revoked(here.userId)).toEqual([['logout', here.sessionId]]);
});

test('an access token kept from before the logout opens no route', async () => {
  const person = await signUp(app);
  expect((await call('GET', '/v1/users/me', person)).status).toBe(200);
  await call('POST', '/v1/auth/logout', person);
  const asked: [method: 'GET' | 'POST' | 'DELETE', path: string, body?: object][] = [
    ['GET', '/v1/users/me'],
    ['GET', '/v1/auth/sessions'],
    ['GET', '/v1/kyc'],
    ['POST', '/v1/kyc', { document_type: 'PAN', document_number: 'ABCDE1234F' }],
    ['GET', '/v1/users/me/contacts'],
    ['GET', '/v1/users/me/preferences'],
    ['POST', '/v1/users/change-password', { current_password: 'x', new_password: 'Another-Secret#2024' }],
    ['DELETE', '/v1/users/me', { password: 'x' }],
    ['GET', `/v1/users/profile/${person.userId}`],
  ];
  for (const [method, path, body] of asked)
    expect((await call(method, path, person, body)).status, `${method} ${path}`).toBe(401);
  expect((await ask(person.access)).body).toEqual({ active: false });
});

test('logout everywhere ends every session of this person and of nobody else', async () => {
  const [person, other] = [await signUp(app), await signUp(app)];
  const more = [await logIn(app, person.phone), await logIn(app, person.phone)];
  const out = await call('POST', '/v1/auth/logout', person, { all_devices: true });
  expect(out).toMatchObject({ status: 200, body: { sessions_revoked: 3 } });
  for (const one of [person, ...more]) expect((await refresh(one.refresh)).status).toBe(401);
  expect((await refresh(other.refresh)).status).toBe(200);
});

test('logout clears the refresh cookie it was sent', async () => {
  const person = await signUp(app, { token_transport: 'cookie' });
  const cookie = String(person.headers['set-cookie']).split(';', 1)[0] ?? '';
  const out = await app.call('POST', '/v1/auth/logout', { token: person.access, headers: { cookie } });
  expect(out.status).toBe(200);
  expect(String(out.headers['set-cookie'])).toMatch(/^refresh_token=; Max-Age=0; .*HttpOnly/);
  expect((await app.call('POST', '/v1/auth/refresh', { headers: { cookie } })).status).toBe(401);
});

test('one’s own session can be ended by its id; another’s is not there and stays as it is', async () => {
  const [person, other] = [await signUp(app), await signUp(app)];
  const lost = await logIn(app, person.phone);
  expect((await call('DELETE', `/v1/auth/sessions/${other.sessionId}`, person)).status).toBe(404);
  expect((await call('GET', '/v1/users/me', other)).status).toBe(200);
  expect(await call('DELETE', `/v1/auth/sessions/${lost.sessionId}`, person)).toMatchObject({
    status: 200,
    body: { sessions_revoked: 1 },
  });
  expect((await refresh(lost.refresh)).status).toBe(401);
  expect((await call('DELETE', `/v1/auth/sessions/${lost.sessionId}`, person)).status).toBe(404);
  expect((await call('DELETE', '/v1/auth/sessions/not-an-id', person)).status).toBe(400);
  expect((await call('GET', '/v1/auth/sessions', person)).body.total).toBe(1);
});

test('the eleventh session makes the oldest give way, with an event in the order of the account', async () => {
  const first = await signUp(app);
  const others: SignedIn[] = [];
  for (let n = 0; n < 9; n++) others.push(await logIn(app, first.phone));
  expect((await call('GET', '/v1/auth/sessions', first)).body.total).toBe(10);
  expect(await revoked(first.userId)).toEqual([]);
  const eleventh = await logIn(app, first.phone);
  expect((await call('GET', '/v1/users/me', first)).status).toBe(401);
  expect((await call('GET', '/v1/auth/sessions', eleventh)).body.total).toBe(10);
  expect((await refresh(others[0]?.refresh ?? '')).status).toBe(200);
  expect(await revoked(first.userId)).toEqual([['limit', first.sessionId]]);
  const [row] = await rows(
    `select a.event_seq = max(o.account_seq) and count(*) = count(distinct o.account_seq) and count(*) = a.event_seq as whole
     from accounts a join outbox o on o.account_id = a.id where a.id = $1 group by a.event_seq`,
    first.userId,
  );
  expect(row?.whole).toBe(true);
  const audit = await rows(
    "select id from audit_events where account_id = $1 and type = 'session.revoked' and session_id = $2 and reason = 'limit'",
    first.userId,
    first.sessionId,
  );
  expect(audit).toHaveLength(1);
  expect(String(audit[0]?.id)[14]).toBe('7');
});

test('last use is noted at most once a minute, and not by the request itself', async () => {
  const person = await signUp(app);
  const lastUse = async () =>
    Number(
      (
        await rows(
          'select extract(epoch from last_active_at) * 1000 as at from sessions where id = $1',
          person.sessionId,
        )
      )[0]?.at,
    );
  const opened = await lastUse();
  app.clock.advance(59_000);
  await call('GET', '/v1/users/me', person);
  await app.services.activity.flush();
  expect(await lastUse()).toBe(opened);
  app.clock.advance(2_000);
  await call('GET', '/v1/users/me', person);
  await app.services.activity.flush();
  expect(await lastUse()).toBeGreaterThanOrEqual(opened + 60_000);
});

test('introspection tells a service what a token is worth now', async () => {
  const person = await signUp(app);
  expect((await ask(person.access)).body).toMatchObject({
    active: true,
    token_type: 'Bearer',
    token_use: 'access_token',
    sub: `user:${person.userId}`,
    sid: person.sessionId,
    tier: 'LIMITED',
    scope: 'profile:read kyc:write',
    aud: 'vestibule:limited',
    client_id: 'vestibule',
    exp: expect.any(Number),
  });
  const ofRefresh = (await ask(person.refresh)).body;
  expect(ofRefresh.token_type).toBeUndefined();
  expect(ofRefresh).toMatchObject({
    active: true,
    token_use: 'refresh_token',
    sid: person.sessionId,
    exp: expect.any(Number),
  });
  const next = await refresh(person.refresh);
  expect((await ask(person.refresh)).body).toEqual({ active: false });
  expect((await ask(next.body.refresh_token)).body.active).toBe(true);
  await call('POST', '/v1/auth/logout', person);
  for (const token of [person.access, next.body.access_token, next.body.refresh_token, 'nonsense', 'a.b.c'])
    expect((await ask(token)).body, token).toEqual({ active: false });
});

test('a FULL token of an account that is LIMITED again is worth nothing; a LIMITED one of a FULL account lives', async () => {
  const person = await signUp(app);
  await rows("update accounts set tier = 'FULL' where id = $1", person.userId);
  expect((await ask(person.access)).body).toMatchObject({
    active: true,
    tier: 'FULL',
    aud: 'vestibule:limited',
  });
  const full = (await refresh(person.refresh)).body.access_token;
  expect((await ask(full)).body).toMatchObject({ active: true, aud: 'vestibule', scope: '*' });
  await rows("update accounts set tier = 'LIMITED' where id = $1", person.userId);
  expect((await ask(full)).body).toEqual({ active: false });
});

test('only a service that knows the configured token may introspect', async () => {
  const person = await signUp(app);
  for (const by of [
    person.access,
    'guess',
    `${SERVICE}x`,
    app.secrets.adminToken,
    app.secrets.introspectionToken,
  ])
    expect((await ask(person.access, by)).status).toBe(401);
  const anonymous = await app.call('POST', '/v1/auth/introspect', { body: { token: person.access } });
  expect(anonymous).toMatchObject({ status: 401, body: { code: 'unauthenticated' } });
});

test('without a configured token, the generated one introspects, and the admin token does not', async () => {
  const demo = await createTestApp({ env: { ADMIN_TOKEN: ADMIN } });
  try {
    const status = async (token: string) =>
      (await demo.call('POST', '/v1/auth/introspect', { token, body: { token: 'x' } })).status;
    expect(await status(demo.secrets.introspectionToken)).toBe(200);
    for (const admin of [ADMIN, demo.secrets.adminToken]) expect(await status(admin)).toBe(401);
  } finally {
    await demo.close();
  }
});

const form = (payload: string, type = 'application/x-www-form-urlencoded', by = SERVICE) =>
  app.call('POST', '/v1/auth/introspect', { token: by, body: payload, headers: { 'content-type': type } });

test('introspection takes the form of RFC 7662, whatever else a client adds to it', async () => {
  const person = await signUp(app);
  const json = await ask(person.access);
  for (const payload of [
    `token=${person.access}`,
    `token_type_hint=id_token&token=${person.access}&resource=https%3A%2F%2Fapi.example&__proto__=1`,
    `token=${person.access.replaceAll('.', '%2e')}&token_type_hint=`,
  ])
    expect(await form(payload), payload).toMatchObject({ status: 200, body: json.body });
  expect(
    (await form(`token=${person.access}`, 'application/x-www-form-urlencoded; charset=utf-8')).body,
  ).toEqual(json.body);
  expect((await form('token=nonsense')).body).toEqual({ active: false });
  expect((await form(`token=${person.access}`, undefined, person.access)).status).toBe(401);
});

test('a form that repeats a parameter, breaks an escape, lacks the token or is too large is refused', async () => {
  for (const payload of [
    'token=a&token=b',
    'a=1&token=a&%61=2',
    'token=%zz',
    'token=%ff',
    'token=a%00',
    'a=1&'.repeat(20),
  ])
    expect(await form(payload), payload).toMatchObject({ status: 400, body: { code: 'malformed_body' } });
  for (const payload of ['token=', 'other=1', `token=${'x'.repeat(4097)}`])
    expect(await form(payload), payload).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
  expect((await form(`token=${'x'.repeat(20_000)}`)).status).toBe(413);
  expect((await form('{"token":"a"}', 'text/plain')).status).toBe(415);
  const elsewhere = await app.call('POST', '/v1/auth/refresh', {
    body: 'refresh_token=a',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
  });
  expect(elsewhere.status).toBe(415);
});
