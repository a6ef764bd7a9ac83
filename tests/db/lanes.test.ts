/** Which statements may wait for which others, and which of them the planner may plan freely. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../db/client.ts';
import { sql } from '../../db/driver/drizzle.ts';
import { type Connected, connected } from '../support/connected.ts';
import { createEmptyDatabase } from '../support/database.ts';

let db: Database;
let close: Connected['close'];
beforeAll(async () => {
  ({ db, close } = await connected(createEmptyDatabase(), 1));
});
afterAll(() => close());

const PLANNER = `select current_setting('enable_seqscan') as seqscan, current_setting('plan_cache_mode') as plans`;
const BY_KEY = { seqscan: 'off', plans: 'force_generic_plan' };
const FREE = { seqscan: 'on', plans: 'auto' };

test('only short prepared statements are planned for their keys; transactions and reports are planned freely', async () => {
  expect([...(await db.reads.execute(sql.raw(PLANNER)))]).toEqual([BY_KEY]);
  expect([...(await db.writes.unsafe(PLANNER))]).toEqual([BY_KEY]);
  expect([...(await db.transaction((tx) => tx.unsafe(PLANNER)))]).toEqual([FREE]);
  expect([...(await db.report((tx) => tx.unsafe(PLANNER)))]).toEqual([FREE]);
});

test('the server compiles no plan of a short statement', async () => {
  const asked = `select current_setting('jit') as jit`;
  expect([...(await db.reads.execute(sql.raw(asked)))]).toEqual([{ jit: 'off' }]);
  expect([...(await db.writes.unsafe(asked))]).toEqual([{ jit: 'off' }]);
});

test('reports that take long hold up neither reads nor commits nor transactions', async () => {
  let finish = () => {};
  const finished = new Promise<void>((resolve) => {
    finish = resolve;
  });
  const begun: unknown[] = [];
  const reports = Array.from({ length: 3 }, () =>
    db.report(async (tx) => {
      begun.push(await tx.unsafe('select 1'));
      await finished;
    }),
  );
  await expect.poll(() => begun.length).toBe(3);
  await db.ping();
  await db.writes.unsafe('select 1');
  await db.transaction((tx) => tx.unsafe('select 1'));
  finish();
  await Promise.all(reports);
});
