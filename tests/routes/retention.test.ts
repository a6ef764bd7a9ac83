/** The settings of retention as a running service applies them: each kind of record goes on its own day. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { limitedPerson, query } from '../support/people.ts';

const HOUR = 3_600_000;

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({
    env: {
      ...LIMITS_OFF,
      RETENTION_IDEMPOTENCY_HOURS: '30',
      RETENTION_OUTBOX_DAYS: '2',
      RETENTION_WEBHOOK_RECEIPT_DAYS: '3',
      RETENTION_FLOW_DAYS: '4',
      RETENTION_SESSION_DAYS: '5',
    },
  });
});
afterAll(() => app.close());

/** Lets hours pass, with the sweep at their end. */
async function pass(hours: number): Promise<void> {
  app.clock.advance(hours * HOUR);
  await app.relay.drain();
}

test('answers, messages, receipts, flows and sessions go after their configured time; the audit trail stays', async () => {
  const { accessToken } = await limitedPerson(app);
  await app.call('POST', '/v1/auth/logout', { token: accessToken });
  const headers = { 'idempotency-key': 'retention-key-1' };
  await app.call('POST', '/v1/auth/send-otp', { body: { phone: freshPhone() }, headers });
  await query(app, 'insert into webhook_receipts (id, received_at) values ($1, $2)', [
    'kyc:1',
    new Date(app.clock.now()),
  ]);
  await app.relay.drain();
  // A flow that a timer ends later goes later.
  const start = new Date(app.clock.now());

  const ended = {
    answers: 'idempotency_records where status is not null',
    messages: "outbox where status = 'done'",
    receipts: 'webhook_receipts',
    flows: `flows where status in ('done', 'archived') and updated_at <= '${start.toISOString()}'`,
    sessions: 'sessions where revoked_at is not null',
  };
  const left = async (): Promise<string[]> => {
    const found: string[] = [];
    for (const [name, from] of Object.entries(ended))
      if ((await query(app, `select 1 from ${from} limit 1`, [])).length > 0) found.push(name);
    return found;
  };
  const trail = async () => (await query(app, 'select id from audit_events', [])).length;
  const recorded = await trail();
  const all = Object.keys(ended);
  expect(await left()).toEqual(all);
  for (const [hours, gone] of [
    [29, 0],
    [2, 1],
    [16, 1],
    [2, 2],
    [22, 2],
    [2, 3],
    [22, 3],
    [2, 4],
    [22, 4],
    [2, 5],
  ] as const) {
    await pass(hours);
    expect(await left(), `${gone} kinds are gone`).toEqual(all.slice(gone));
  }
  expect(await trail()).toBeGreaterThanOrEqual(recorded);
  expect(recorded).toBeGreaterThan(0);
});
