/** A counter that is written under one key and read under another would never be full. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { counterKey, counterKeySql } from '../../db/counter-keys.ts';
import { sql } from '../../db/driver/drizzle.ts';
import { uuidv7 } from '../../src/kernel/crypto/uuid7.ts';
import { type Connected, connected } from '../support/connected.ts';
import { createEmptyDatabase } from '../support/database.ts';

let db: Database;
let close: Connected['close'];
beforeAll(async () => {
  ({ db, close } = await connected(createEmptyDatabase(), 1));
});
afterAll(() => close());

test('every key is the same text in a query as in a window, and no two counters share one', async () => {
  const names = Object.keys(counterKey) as (keyof typeof counterKey)[];
  const [id, device] = [uuidv7(), 'a-device'];
  const texts = names.map((name) => counterKey[name](id, device));
  const expressions = names.map((name) => counterKeySql[name](sql`${id}::uuid`, sql`${device}`));
  const rows = await db.reads.execute<{ key: string }>(
    sql`select key from (values ${sql.join(
      expressions.map((expression, i) => sql`(${i}::int, ${expression})`),
      sql.raw(', '),
    )}) as t(i, key) order by i`,
  );
  expect(rows.map(({ key }) => key)).toEqual(texts);
  expect(new Set(texts).size).toBe(names.length);
});
