/** Records of what is over go after their time, in bounded batches beside the requests; what must stay, stays. */
import { randomUUID } from 'node:crypto';
import type { Sql } from 'postgres';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { BATCH_SIZE } from '../../db/batches.ts';
import type { Database } from '../../db/client.ts';
import { purgeEnded } from '../../db/retention.ts';
import { type Connected, connected } from '../support/connected.ts';
import { createDatabase } from '../support/database.ts';

const DAY = 86_400_000;
const now = new Date();
const ago = (days: number, ms = 0): Date => new Date(now.getTime() - days * DAY - ms);
const UNTIL = { outbox: ago(7), webhookReceipts: ago(30), flows: ago(90), sessions: ago(60) };

let db: Database;
let sql: Sql;
let close: Connected['close'];
beforeAll(async () => {
  ({ db, sql, close } = await connected(createDatabase()));
});
afterAll(() => close());
beforeEach(async () => {
  await sql`truncate outbox, webhook_receipts, flows, flow_steps, sessions, audit_events, kyc_records, accounts cascade`;
});

const outboxRow = (id: string, status: string, doneAt: Date | null) => sql`
  insert into outbox (id, topic, payload, status, due_at, created_at, done_at)
  values (${id}, 'event', '{}', ${status}, ${ago(400)}, ${ago(400)}, ${doneAt})`;
const flow = async (status: string, updatedAt: Date, id: string = randomUUID()): Promise<string> => {
  await sql`insert into flows (id, machine, machine_version, version, state, status, snapshot, created_at, updated_at, state_entered_at)
    values (${id}, 'login', 1, 3, 's', ${status}, '{}', ${ago(400)}, ${updatedAt}, ${updatedAt})`;
  await sql`insert into flow_steps (id, flow_id, seq, machine, machine_version, at, event, edges, from_state, to_state, refused, actor)
    select gen_random_uuid(), ${id}, i, 'login', 1, ${updatedAt}, 'E', '{}', 'a', 'b', i = 3, 'client' from generate_series(1, 3) i`;
  return id;
};
const session = async (expiresAt: Date, revokedAt: Date | null): Promise<string> => {
  const id = randomUUID();
  await sql`insert into sessions (id, account_id, amr, acr, auth_time, persistent, scope, created_at, last_active_at,
      idle_expires_at, expires_at, revoked_at, refresh_generation, refresh_hash, refresh_rotated_at)
    values (${id}, gen_random_uuid(), '{}', '1', ${ago(400)}, true, '{}', ${ago(400)}, ${ago(400)},
      ${ago(390)}, ${expiresAt}, ${revokedAt}, 1, 'h', ${ago(400)})`;
  return id;
};
const ids = async (table: string): Promise<string[]> =>
  (await sql`select id::text from ${sql(table)} order by id`).map(({ id }) => id as string);

describe('each kind goes at its time and no earlier', () => {
  test('delivered messages; waiting and dead ones stay however old', async () => {
    await outboxRow('gone', 'done', ago(7));
    await outboxRow('kept', 'done', ago(7, -1000));
    await outboxRow('waiting', 'pending', null);
    await outboxRow('dead', 'dead', ago(300));
    await purgeEnded(db, UNTIL);
    expect(await ids('outbox')).toEqual(['dead', 'kept', 'waiting']);
  });

  test('receipts of webhooks', async () => {
    await sql`insert into webhook_receipts (id, received_at) values ('gone', ${ago(30)}), ('kept', ${ago(30, -1000)})`;
    await purgeEnded(db, UNTIL);
    expect(await ids('webhook_receipts')).toEqual(['kept']);
  });

  test('ended flows with all their steps; those under way and damaged ones stay, with theirs', async () => {
    await flow('done', ago(90));
    await flow('archived', ago(300));
    const kept = [
      await flow('done', ago(90, -1000)),
      await flow('active', ago(300)),
      await flow('quarantined', ago(300)),
    ];
    await purgeEnded(db, UNTIL);
    expect(await ids('flows')).toEqual(kept.toSorted());
    const steps =
      await sql`select flow_id, count(*)::int as n from flow_steps group by flow_id order by flow_id`;
    expect([...steps]).toEqual(kept.toSorted().map((flow_id) => ({ flow_id, n: 3 })));
  });

  test('a sign-up that a KYC record names stays, because a provider may still revoke that record', async () => {
    const id = await flow('done', ago(300));
    const account = randomUUID();
    await sql`insert into accounts (id, status, tier, created_at, updated_at) values (${account}, 'active', 'FULL', ${now}, ${now})`;
    await sql`insert into kyc_records (id, account_id, flow_id, document_type, number_sealed, number_hash, number_last4, status, submitted_at)
      values (gen_random_uuid(), ${account}, ${id}, 'PAN', 's', 'h', '1234', 'REJECTED', ${ago(300)})`;
    await purgeEnded(db, UNTIL);
    expect(await ids('flows')).toEqual([id]);
    expect(await ids('flow_steps')).toHaveLength(3);
  });

  test('sessions, from their revocation or their absolute end', async () => {
    await session(ago(60), null);
    await session(ago(-10), ago(60));
    const kept = [
      await session(ago(60, -1000), null),
      await session(ago(-10), ago(60, -1000)),
      await session(ago(-10), null),
    ];
    await purgeEnded(db, UNTIL);
    expect(await ids('sessions')).toEqual(kept.toSorted());
  });

  test('audit rows stay', async () => {
    await sql`insert into audit_events (id, at, type, outcome, actor, flow_id)
      values (gen_random_uuid(), ${ago(3000)}, 'login', 'success', 'client', ${await flow('done', ago(300))})`;
    await purgeEnded(db, UNTIL);
    expect(await ids('flows')).toEqual([]);
    expect(await ids('audit_events')).toHaveLength(1);
  });
});

test('thousands of rows go in one round, and no statement deletes more than a batch', async () => {
  const count = 3 * BATCH_SIZE + 1;
  await sql`insert into outbox (id, topic, payload, status, due_at, created_at, done_at)
    select 'gone:' || i, 'event', '{}', 'done', ${ago(9)}::timestamptz, ${ago(9)}::timestamptz, ${ago(8)}::timestamptz from generate_series(1, ${count}::int) i`;
  await outboxRow('kept', 'done', now);
  await sql`create table deletions (n int)`;
  await sql.unsafe(`create function note_deletion() returns trigger language plpgsql as
    $$ begin insert into deletions select count(*) from gone; return null; end $$`);
  await sql.unsafe(`create trigger noted after delete on outbox referencing old table as gone
    for each statement execute function note_deletion()`);
  await purgeEnded(db, UNTIL);
  const sizes = (await sql`select n from deletions order by n desc`).map(({ n }) => n as number);
  await sql`drop trigger noted on outbox`;
  expect(sizes.reduce((sum, n) => sum + n, 0)).toBe(count);
  expect(sizes[0]).toBe(BATCH_SIZE);
  expect(await ids('outbox')).toEqual(['kept']);
});

test('a row that a request holds is not waited for, and goes in a later round', async () => {
  const held = await session(ago(300), null);
  await session(ago(300), null);
  await sql.begin(async (tx) => {
    await tx`select 1 from sessions where id = ${held} for update`;
    await purgeEnded(db, UNTIL);
    expect(await ids('sessions')).toEqual([held]);
  });
  await purgeEnded(db, UNTIL);
  expect(await ids('sessions')).toEqual([]);
});
