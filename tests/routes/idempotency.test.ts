/** The same keyed request runs once, whatever happens to its answers. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { limitedPerson, query } from '../support/people.ts';

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

test.each(['short', 'x'.repeat(129), 'with space inside'])('the key %j is refused', async (k) => {
  expect((await start(freshPhone(), k)).body).toMatchObject({
    code: 'validation_failed',
    errors: [{ pointer: '/headers/idempotency-key' }],
  });
});
