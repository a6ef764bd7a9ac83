/** Addresses that nobody owns any more, or never did, are erased after thirty days, whoever names them meanwhile. */
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectDatabase, type Database } from '../../db/client.ts';
import { forgetUnowned, internNow } from '../../db/contacts.ts';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { register } from '../support/mail.ts';
import { giveEmail, limitedPerson, PASSWORD, query } from '../support/people.ts';

const DAY = 86_400_000;

let app: TestApp;
let db: Database;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
  db = connectDatabase({ url: app.databaseUrl, poolSize: 4 });
});
afterAll(async () => {
  await db.close();
  await app.close();
});

const stored = async (canonical: string): Promise<boolean> =>
  (await query(app, 'select 1 from contacts where canonical = $1', [canonical])).length > 0;

/** Lets this many days pass, with the sweep at their end. */
async function pass(days: number): Promise<void> {
  app.clock.advance(days * DAY + 61_000);
  await app.relay.drain();
}

const WAITING = `select 1 from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock'`;

const sendOtp = (phone: string) => app.call('POST', '/v1/auth/send-otp', { body: { phone } });

test('an address its owner removed is kept for thirty days from then, and no longer', async () => {
  const { accessToken: token, userId } = await limitedPerson(app);
  await giveEmail(app, userId, 'removed@example.com');
  await query(app, "update contacts set created_at = now() - interval '3 years' where account_id = $1", [
    userId,
  ]);
  const { body } = await app.call('GET', '/v1/users/me/contacts', { token });
  const gone = body.contacts.find((c: { type: string }) => c.type === 'email').contact_id;
  const current_password = PASSWORD;
  await app.call('DELETE', `/v1/users/me/contacts/${gone}`, { token, body: { current_password } });
  await pass(29);
  expect(await stored('removed@example.com')).toBe(true);
  await pass(1);
  expect(await stored('removed@example.com')).toBe(false);
});

test('what was named once and never proven is erased, and no flow refers to it; what is owned stays', async () => {
  const person = await limitedPerson(app);
  const phone = freshPhone();
  await sendOtp(phone);
  await app.call('POST', '/v1/auth/password/reset-request', { body: { email: 'nobody@example.com' } });
  await register(app, 'unfinished@example.com');
  await pass(15);
  for (const known of [phone, 'nobody@example.com', 'unfinished@example.com'])
    expect(await stored(known), known).toBe(true);
  await pass(16);
  await pass(0);
  for (const known of [phone, 'nobody@example.com', 'unfinished@example.com'])
    expect(await stored(known), known).toBe(false);
  expect(await stored(person.phone)).toBe(true);
  const dangling = `select f.id from flows f where f.contact_id is not null
    and not exists (select 1 from contacts c where c.id = f.contact_id)`;
  expect(await query(app, dangling)).toEqual([]);
});

test('one that a flow under way needs, or that was named again, is kept on', async () => {
  const [again, waiting] = [freshPhone(), freshPhone()];
  await sendOtp(again);
  await app.call('POST', '/v1/auth/signup/phone', { body: { phone: waiting } });
  await query(app, "update flows set next_due_at = null where machine = 'signup' and status = 'active'");
  await pass(20);
  await sendOtp(again);
  await pass(11);
  expect([await stored(again), await stored(waiting)]).toEqual([true, true]);
  await pass(20);
  expect([await stored(again), await stored(waiting)]).toEqual([false, true]);
});

test('a run erases a bounded number, the oldest first', async () => {
  const old = Array.from({ length: 3 }, () => ({ id: crypto.randomUUID(), phone: freshPhone() }));
  for (const [n, { id, phone }] of old.entries())
    await query(
      app,
      `insert into contacts (id, type, canonical, value, created_at)
       values ($1, 'phone', $2, $2, '2001-01-01'::timestamptz + $3 * interval '1 day')`,
      [id, phone, n],
    );
  await forgetUnowned(db, new Date('2002-01-01'), 2);
  expect(await Promise.all(old.map(({ phone }) => stored(phone)))).toEqual([false, false, true]);
});

test('finding them takes an index, not the table', async () => {
  const plan = await query<Record<string, string>>(
    app,
    `explain select c.id from contacts c where c.account_id is null and coalesce(c.kept_from, c.created_at) <= now()
     order by coalesce(c.kept_from, c.created_at) limit 500`,
  );
  expect(plan.map((line) => line['QUERY PLAN']).join('\n')).toContain('contacts_unowned');
});

test.each([
  ['is being erased', true],
  ['is about to be', false],
])('whoever names one that %s finds it there afterwards', async (_when, erasureFirst) => {
  const contact = { id: crypto.randomUUID(), type: 'phone' as const, canonical: freshPhone(), value: 'x' };
  await query(
    app,
    `insert into contacts (id, type, canonical, value, created_at) values ($1, 'phone', $2, $2, '2001-01-01')`,
    [contact.id, contact.canonical],
  );
  const name = (sql = db.writes) => internNow({ writes: sql } as never, contact, new Date());
  const sql = postgres(app.databaseUrl, { max: 1, onnotice: () => {} });
  try {
    if (erasureFirst) {
      let naming: Promise<unknown> = Promise.resolve();
      await sql.begin(async (tx) => {
        await forgetUnowned({ writes: tx } as never, new Date('2002-01-01'), 500);
        naming = name();
        // It has come to the row and waits for the erasure.
        await expect
          .poll(async () => (await query(app, WAITING)).length, { interval: 20, timeout: 10_000 })
          .toBe(1);
      });
      await naming;
    } else {
      await sql.begin(async (tx) => {
        await name(tx as never);
        // Does not wait for the lock, and leaves the row alone.
        await forgetUnowned(db, new Date('2002-01-01'), 500);
      });
      await forgetUnowned(db, new Date('2002-01-01'), 500);
    }
  } finally {
    await sql.end();
  }
  expect(await stored(contact.canonical)).toBe(true);
});

test('codes asked for while the sweep erases the same numbers all belong to a stored number', async () => {
  const phones = Array.from({ length: 30 }, () => freshPhone());
  await Promise.all(phones.map(sendOtp));
  // Their challenges are over, and nobody has named them for a month.
  await query(app, "update flows set status = 'done', next_due_at = null where machine = 'challenge'");
  await query(app, "update contacts set created_at = '2001-01-01' where account_id is null");
  app.clock.advance(5000);
  await Promise.all([
    ...phones.map(sendOtp),
    ...Array.from({ length: 10 }, () => forgetUnowned(db, new Date('2002-01-01'), 7)),
  ]);
  const orphans = `select f.id from flows f where f.status = 'active' and f.machine = 'challenge'
    and not exists (select 1 from contacts c where c.id = f.contact_id)`;
  expect(await query(app, orphans)).toEqual([]);
  const kept = await Promise.all(phones.map(stored));
  expect(kept.every(Boolean)).toBe(true);
});
