/** Commits that share a statement: each as if it had been alone, whatever becomes of the others. */
import type { Sql } from 'postgres';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { UniqueViolation, VersionConflict } from '../../db/driver/conflicts.ts';
import { accounts, auditEvents } from '../../db/schema.ts';
import { insert, update, type WriteFragment } from '../../db/write/fragment.ts';
import { createGroupCommit } from '../../db/write/group-commit.ts';
import type { GroupCommit } from '../../db/write/runner.ts';
import { uuidv7 } from '../../src/kernel/crypto/uuid7.ts';
import { type Connected, connected } from '../support/connected.ts';
import { createDatabase } from '../support/database.ts';

let db: Database;
let sql: Sql;
let close: Connected['close'];
let texts: string[];
let lane: GroupCommit;
let owners: string[];
const now = new Date();
const MANY = 20;

beforeAll(async () => {
  ({ db, sql, close } = await connected(createDatabase()));
});
beforeEach(async () => {
  texts = [];
  const unsafe = ((text: string, ...rest: []) => {
    texts.push(text);
    return db.writes.unsafe(text, ...rest);
  }) as Sql['unsafe'];
  lane = createGroupCommit({ unsafe }, { lanes: 1 });
  owners = Array.from({ length: MANY }, () => uuidv7());
  await sql`insert into accounts ${sql(owners.map((id) => ({ id, status: 'active', tier: 'LIMITED', created_at: now, updated_at: now })))}`;
});
afterAll(() => close());

/** A step of an account: its counter moves from `seq`, two audit rows tell of it, and it reports what it left. */
const stepOf = (accountId: string, { seq = 0, reason = null as string | null } = {}): WriteFragment[] => [
  {
    ...update(
      accounts,
      { updatedAt: now },
      { sql: 'id = ? and event_seq = ?', params: [accountId, seq] },
      { expectRows: 1, raw: 'event_seq = event_seq + 1' },
    ),
    name: 'moved',
    returning: 'id, event_seq',
    returnsColumn: 'id',
  },
  insert(
    auditEvents,
    ['first', 'second'].map((type) => ({
      id: uuidv7(),
      at: now,
      type,
      outcome: 'success' as const,
      reason,
      accountId,
      actor: 'client',
    })),
  ),
  {
    sql: 'select event_seq::int as seq from {moved}',
    params: [],
    name: 'counted',
    returnsColumn: 'seq',
  },
];
const commitOf = (accountId: string, ...rest: [Parameters<typeof stepOf>[1]?]) =>
  lane.commit(stepOf(accountId, ...rest), new Set([accountId]));
const audited = async () =>
  (
    await sql`select account_id, array_agg(type order by id) as types from audit_events
      where account_id = any(${owners}) group by 1`
  ).map((row) => [row.account_id, row.types]);
const whole = (ids: string[]) => ids.map((id) => [id, ['first', 'second']]);

test('many at once are all written, by fewer statements, and each hears of itself', async () => {
  const told = await Promise.all(owners.map((id) => commitOf(id)));
  expect(told).toEqual(owners.map((id) => ({ moved: id, counted: 1 })));
  expect((await audited()).sort()).toEqual(whole(owners).sort());
  // The first goes alone; of the nineteen behind it eight, eight, two and one.
  expect(texts).toHaveLength(5);
});

test('one decided on a row that has moved is stale; the others of its statement are written', async () => {
  const told = await Promise.allSettled(owners.map((id, i) => commitOf(id, { seq: i === 5 ? 7 : 0 })));
  const refused = told.flatMap((one, i) => (one.status === 'rejected' ? [{ i, reason: one.reason }] : []));
  expect(refused).toEqual([{ i: 5, reason: expect.any(VersionConflict) }]);
  expect((await audited()).sort()).toEqual(whole(owners.filter((_, i) => i !== 5)).sort());
});

test('data that Postgres cannot store fails the commit that brings it, and no other', async () => {
  const told = await Promise.allSettled(
    owners.map((id, i) => commitOf(id, { reason: i === 9 ? 'a\0b' : null })),
  );
  expect(told.flatMap((one, i) => (one.status === 'rejected' ? [i] : []))).toEqual([9]);
  expect(await audited()).toHaveLength(MANY - 1);
});

test('a name that is taken fails the one commit that asks for it', async () => {
  await sql`update accounts set username = 'ada' where id = ${owners[0]!}`;
  const named = (id: string, username: string): WriteFragment[] => [
    update(accounts, { username }, { sql: 'id = ?', params: [id] }, { expectRows: 1 }),
  ];
  const told = await Promise.allSettled(
    owners.slice(1).map((id, i) => lane.commit(named(id, i === 3 ? 'Ada' : id), new Set([id]))),
  );
  const refused = told.flatMap((one, i) => (one.status === 'rejected' ? [[i, one.reason]] : []));
  expect(refused).toEqual([[3, expect.any(UniqueViolation)]]);
});

test('two commits about one row never share a statement: the second meets what the first has left', async () => {
  const [id] = owners as [string];
  const told = await Promise.allSettled([0, 0, 0, 1].map((seq) => commitOf(id, { seq })));
  expect(told.map((one) => one.status)).toEqual(['fulfilled', 'rejected', 'rejected', 'fulfilled']);
  expect(new Set(texts).size).toBe(1);
  expect(texts).toHaveLength(4);
});

test('when the connection is lost all hear of it at once, those who wait as well, and nothing is tried again', async () => {
  const lost = Object.assign(new Error('write CONNECTION_CLOSED'), { code: 'CONNECTION_CLOSED' });
  let calls = 0;
  const unsafe = (() => {
    calls += 1;
    return Promise.reject(lost);
  }) as unknown as Sql['unsafe'];
  lane = createGroupCommit({ unsafe }, { lanes: 1 });
  const told = await Promise.allSettled(owners.slice(0, 9).map((id) => commitOf(id)));
  expect(told.every((one) => one.status === 'rejected' && one.reason === lost)).toBe(true);
  expect(calls).toBe(1);
});

test.each([
  ['one too few', ['active']],
  ['one too many', ['active', 'LIMITED', 'LIMITED']],
])('a fragment with %s parameters fails before anything is sent', async (_, params) => {
  const [id] = owners as [string];
  const wrong: WriteFragment = { sql: 'update accounts set status = ?, tier = ?', params };
  await expect(lane.commit([...stepOf(id), wrong], new Set([id]))).rejects.toThrow(
    `2 marks for ${params.length} parameters in: update accounts set status = ?, tier = ?`,
  );
  expect(texts).toEqual([]);
});
