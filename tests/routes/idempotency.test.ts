/** The same keyed request runs once, whatever happens to its answers. */
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { freshEmail } from '../support/mail.ts';
import { limitedPerson, PASSWORD, query } from '../support/people.ts';

let app: TestApp;
let key = 0;
beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());

const fresh = () => `key-${process.pid}-${key++}-aaaa`;
const start = (phone: string, idempotencyKey: string) =>
  app.call('POST', '/v1/auth/signup/phone', {
    body: { phone },
    headers: { 'idempotency-key': idempotencyKey },
  });

test('a repeated request gets the first answer, tokens included, and has no second effect', async () => {
  const [phone, k] = [freshPhone(), fresh()];
  const first = await start(phone, k);
  const second = await start(phone, k);
  expect(first.status).toBe(200);
  expect(second.text).toBe(first.text);
  expect(second.headers['idempotent-replayed']).toBe('true');
  const flows = await query(
    app,
    'select 1 from flows f join contacts c on c.id = f.contact_id where c.canonical = $1',
    [phone],
  );
  expect(flows).toHaveLength(1);
});

test('a refusal is an answer too: it is repeated, not tried again', async () => {
  const [phone, k] = [freshPhone(), fresh()];
  await app.call('POST', '/v1/auth/send-otp', { body: { phone } });
  const wrong = { phone, otp: '111111' };
  const headers = { 'idempotency-key': k };
  for (let i = 0; i < 7; i++) {
    expect((await app.call('POST', '/v1/auth/verify-otp', { body: wrong, headers })).status).toBe(400);
  }
  expect((await app.call('POST', '/v1/auth/verify-otp', { body: { phone, otp: '000000' } })).status).toBe(
    200,
  );
});

test('the same key with another body is 422; of another caller it is another key', async () => {
  const k = fresh();
  expect((await start(freshPhone(), k)).status).toBe(200);
  expect(await start(freshPhone(), k)).toMatchObject({ status: 422, body: { code: 'idempotency_mismatch' } });
  const elsewhere = await app.call('POST', '/v1/auth/signup/phone', {
    body: { phone: freshPhone() },
    headers: { 'idempotency-key': k },
    remoteAddress: '198.51.100.7',
  });
  expect(elsewhere.status).toBe(200);
});

test('the same key for another thing named in the address is 422, not the first answer', async () => {
  const headers = { 'idempotency-key': fresh() };
  const resend = (userId: string) =>
    app.call('POST', `/balance_hub/auth/resend-verification?user_id=${userId}`, { headers });
  expect((await resend('0190f3c4-0000-7000-8000-00000000ffff')).status).toBe(200);
  expect(await resend('0190f3c4-0000-7000-8000-00000000fffe')).toMatchObject({
    status: 422,
    body: { code: 'idempotency_mismatch' },
  });
});

test('50 parallel requests with one key: one runs, the others are told to wait or get its answer', async () => {
  const [{ accessToken: token }, k] = [await limitedPerson(app), fresh()];
  const body = { document_type: 'PAN', document_number: 'ABCDE1234F' };
  const answers = await Promise.all(
    Array.from({ length: 50 }, () =>
      app.call('POST', '/v1/kyc', { token, body, headers: { 'idempotency-key': k } }),
    ),
  );
  const statuses = new Set(answers.map((a) => a.status));
  expect([...statuses].every((s) => s === 202 || s === 409)).toBe(true);
  expect(
    answers.filter((a) => a.status === 409).every((a) => a.body.code === 'idempotency_in_progress'),
  ).toBe(true);
  expect(await query(app, 'select 1 from kyc_records')).toHaveLength(1);
});

test('stored answers are sealed: no token, code or phone stands in the table', async () => {
  const phone = freshPhone();
  const { body } = await start(phone, fresh());
  const dump = JSON.stringify(await query(app, 'select * from idempotency_records'));
  for (const secret of [body.flow_token, phone, '000000']) expect(dump).not.toContain(secret);
});

test('a day later the key is free again', async () => {
  const [phone, k] = [freshPhone(), fresh()];
  const first = await start(phone, k);
  app.clock.advance(86_400_001);
  const later = await start(phone, k);
  expect(later.status).toBe(200);
  expect(later.body.flow_id).not.toBe(first.body.flow_id);
});

test.each([
  ['before its commit', ', committed_at = null, steps = null', false],
  ['after its commit', '', true],
])('the key of a request that died %s is free again after six seconds, not earlier', async (_, died, had) => {
  const [phone, k] = [freshPhone(), fresh()];
  const first = await start(phone, k);
  await query(
    app,
    `update idempotency_records set status = null, answer = null ${died}
     where created_at = (select max(created_at) from idempotency_records)`,
  );
  app.clock.advance(5900);
  expect(await start(phone, k)).toMatchObject({ status: 409, body: { code: 'idempotency_in_progress' } });
  app.clock.advance(100);
  const again = await start(phone, k);
  expect(again.status).toBe(200);
  expect(again.body.flow_id === first.body.flow_id).toBe(had);
  expect((await start(phone, k)).text).toBe(again.text);
});

test.each(['short', 'x'.repeat(129), 'with space inside'])('the key %j is refused', async (k) => {
  expect((await start(freshPhone(), k)).body).toMatchObject({
    code: 'validation_failed',
    errors: [{ pointer: '/headers/idempotency-key' }],
  });
});

/** Adds an address as whoever has the token: its answer holds a flow token. */
const addEmail = (token: string, value: string, idempotencyKey: string) =>
  app.call('POST', '/v1/users/me/contacts', {
    token,
    body: { type: 'email', value, current_password: PASSWORD },
    headers: { 'idempotency-key': idempotencyKey },
  });
const flowsOf = (email: string) =>
  query(app, 'select 1 from flows f join contacts c on c.id = f.contact_id where c.canonical = $1', [email]);

test('the key is the person’s, not the token’s: after a refresh and in another session the answer is the first one', async () => {
  const [person, email, k] = [await limitedPerson(app), freshEmail(), fresh()];
  const first = await addEmail(person.accessToken, email, k);
  expect(first.status).toBe(202);
  const refreshed = await app.call('POST', '/v1/auth/refresh', {
    body: { refresh_token: person.refreshToken },
  });
  const again = await addEmail(refreshed.body.access_token, email, k);
  expect(again.text).toBe(first.text);
  expect(again.headers['idempotent-replayed']).toBe('true');
  const elsewhere = await app.call('POST', '/v1/auth/login', {
    body: {
      phone: person.phone,
      password: PASSWORD,
      token_transport: 'body',
      device_fingerprint: 'device-one',
    },
  });
  expect((await addEmail(elsewhere.body.access_token, email, k)).text).toBe(first.text);
  expect(await flowsOf(email)).toHaveLength(1);
});

test('a cookie that comes or goes does not make another key of it', async () => {
  const person = await limitedPerson(app);
  const body = { phone: person.phone, password: PASSWORD, token_transport: 'body' };
  const k = fresh();
  const login = (headers: Record<string, string>) =>
    app.call('POST', '/v1/auth/login', { body, headers: { 'idempotency-key': k, ...headers } });
  const first = await login({ cookie: 'theme=dark' });
  expect(first.status).toBe(200);
  expect((await login({ cookie: 'theme=light; visits=2' })).text).toBe(first.text);
  expect((await login({ authorization: `Bearer ${person.accessToken}` })).text).toBe(first.text);
});

test('an expired, forged, ended or foreign token never gets the kept answer', async () => {
  const [person, other, email, k] = [
    await limitedPerson(app),
    await limitedPerson(app),
    freshEmail(),
    fresh(),
  ];
  const first = await addEmail(person.accessToken, email, k);
  const secret = first.body.flow_token as string;
  const foreign = await addEmail(other.accessToken, email, k);
  expect(foreign.text).not.toContain(secret);
  expect(foreign.headers['idempotent-replayed']).toBeUndefined();
  const forged = `${person.accessToken.slice(0, -8)}AAAAAAAA`;
  expect(await addEmail(forged, email, k)).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
  await app.call('POST', '/v1/auth/logout', { token: person.accessToken });
  const ended = await addEmail(person.accessToken, email, k);
  expect(ended).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
  app.clock.advance(16 * 60_000);
  const expired = await addEmail(other.accessToken, email, k);
  expect(expired).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
  expect(ended.text + expired.text).not.toContain(secret);
});

test('a refusal of a dead token stays its own: the person’s key is free for a token that is in force', async () => {
  const [person, email, k] = [await limitedPerson(app), freshEmail(), fresh()];
  app.clock.advance(16 * 60_000);
  expect((await addEmail(person.accessToken, email, k)).status).toBe(401);
  const refreshed = await app.call('POST', '/v1/auth/refresh', {
    body: { refresh_token: person.refreshToken },
  });
  expect((await addEmail(refreshed.body.access_token, email, k)).status).toBe(202);
});

test('a keyed logout is answered alike when it is repeated with the token it has ended', async () => {
  const [person, k] = [await limitedPerson(app), fresh()];
  const logout = () =>
    app.call('POST', '/v1/auth/logout', {
      token: person.accessToken,
      body: {},
      headers: { 'idempotency-key': k },
    });
  const first = await logout();
  expect(first.status).toBe(200);
  expect((await logout()).text).toBe(first.text);
});

test('a keyed refresh is answered alike later than its grace, and not at all once its session has ended', async () => {
  const [person, k] = [await limitedPerson(app), fresh()];
  const refresh = () =>
    app.call('POST', '/v1/auth/refresh', {
      body: { refresh_token: person.refreshToken },
      headers: { 'idempotency-key': k },
    });
  const first = await refresh();
  expect(first.status).toBe(200);
  app.clock.advance(60_000);
  expect((await refresh()).text).toBe(first.text);
  await app.call('POST', '/v1/auth/logout', { token: first.body.access_token });
  expect(await refresh()).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
});

test('a run that has lost its key to another one commits nothing and is told to wait', async () => {
  const [person, email, k] = [await limitedPerson(app), freshEmail(), fresh()];
  const sql = postgres(app.databaseUrl, { max: 1, onnotice: () => {} });
  try {
    // Whatever is reserved from now on belongs to somebody else by the time of its commit.
    await sql.unsafe(`create function lose() returns trigger language plpgsql as
      $$ begin new.run = gen_random_uuid(); return new; end $$`);
    await sql`create trigger lose before insert on idempotency_records for each row execute function lose()`;
    const lost = await addEmail(person.accessToken, email, k);
    expect(lost).toMatchObject({ status: 409, body: { code: 'idempotency_in_progress' } });
    expect(await flowsOf(email)).toHaveLength(0);
  } finally {
    await sql`drop trigger lose on idempotency_records`;
    await sql.end();
  }
});
