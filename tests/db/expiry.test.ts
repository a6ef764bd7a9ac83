/** Rows that have had their time go, however many there are, and no other does. */
import type { Sql } from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { isStale } from '../../db/driver/conflicts.ts';
import { createIdempotencyStore } from '../../db/idempotency.ts';
import * as throttles from '../../db/throttles.ts';
import { type Connected, connected } from '../support/connected.ts';
import { createDatabase } from '../support/database.ts';

let db: Database;
let sql: Sql;
let close: Connected['close'];
const now = new Date();
beforeAll(async () => {
  ({ db, sql, close } = await connected(createDatabase()));
});
afterAll(() => close());

test('thousands of failure counters whose windows are over go at once, and the live ones stay', async () => {
  await sql`insert into throttles (key, count, window_ends_at)
    select 'old:' || i, 1, ${now}::timestamptz - interval '1 s' from generate_series(1, 3500) i`;
  await sql`insert into throttles (key, count, window_ends_at) values ('live', 4, ${now}::timestamptz + interval '1 s')`;
  await throttles.deleteExpired(db, now);
  expect([...(await sql`select key, count from throttles`)]).toEqual([{ key: 'live', count: 4 }]);
});

test('thousands of answers whose day is over go at once, and the others stay', async () => {
  await sql`insert into idempotency_records (key, fingerprint, created_at, expires_at)
    select 'old:' || i, 'f', ${now}, ${now}::timestamptz - interval '1 s' from generate_series(1, 3500) i`;
  await sql`insert into idempotency_records (key, fingerprint, created_at, expires_at)
    values ('live', 'f', ${now}, ${now}::timestamptz + interval '1 s')`;
  await createIdempotencyStore(db).deleteExpired(now);
  expect([...(await sql`select key from idempotency_records`)]).toEqual([{ key: 'live' }]);
});

test('a deadlock that Postgres broke is known for one through the wrapping of a query builder', () => {
  const said = Object.assign(new Error('deadlock detected'), { code: '40P01' });
  expect(isStale(new Error('Failed query', { cause: said }))).toBe(true);
  expect(isStale(new Error('Failed query', { cause: new Error('other') }))).toBe(false);
});
