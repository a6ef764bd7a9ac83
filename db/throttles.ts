/** Durable failure counters: they survive restarts and Redis, and are counted in the commit that records the failure. */

import { deleteInBatches } from './batches.ts';
import type { Database } from './client.ts';
import { and, gt, inArray } from './driver/drizzle.ts';
import { throttles } from './schema.ts';
import { execute } from './write/compose.ts';
import { fragment, type WriteFragment } from './write/fragment.ts';

export type Window = { key: string; limit: number; windowMs: number };

/** One more failure in each window; a window starts with its first failure. */
export const count = (windows: Window[], now: Date): WriteFragment => {
  const at = now.toISOString();
  const tuples = windows.map(() => '(?, 1, ?::timestamptz)').join(', ');
  return fragment(
    `insert into throttles (key, count, window_ends_at) values ${tuples}
     on conflict (key) do update set
       count = case when throttles.window_ends_at <= ?::timestamptz then 1 else throttles.count + 1 end,
       window_ends_at = case when throttles.window_ends_at <= ?::timestamptz
         then excluded.window_ends_at else throttles.window_ends_at end`,
    [...windows.flatMap((w) => [w.key, new Date(now.getTime() + w.windowMs).toISOString()]), at, at],
  );
};

/** The failure next after `before`: stale when another one was counted meanwhile, so that none shares a place. */
export const countNext = (window: Window, before: number, now: Date): WriteFragment => {
  const { sql, params } = count([window], now);
  return {
    sql,
    returning: 'throttles.count <> ?::int as moved',
    params: [...params, before + 1],
    abortIf: 'moved',
  };
};

const limitOf = (windows: Window[], key: string) =>
  `case ${key} ${windows.map(() => 'when ? then ?::int').join(' ')} end`;
const limitParams = (windows: Window[]) => windows.flatMap((w) => [w.key, w.limit]);

/** The same within the limits: when one of the windows has no room left, the whole commit is stale. */
export const countWithin = (windows: Window[], now: Date): WriteFragment => {
  const { sql, params } = count(windows, now);
  return {
    sql,
    returning: `count > ${limitOf(windows, 'key')} as is_over`,
    params: [...params, ...limitParams(windows)],
    abortIf: 'is_over',
  };
};

/**
 * Gives the failures of these windows back, unless one of them is full: then the whole commit is stale. Of the window
 * `shared`, only as many as `own` holds: those of others stay. Rows are made where there are none, because only a row
 * that exists makes parallel commits wait for each other.
 */
export const giveBack = (
  windows: Window[],
  now: Date,
  of?: { shared: string; own: string },
): WriteFragment => {
  const at = now.toISOString();
  const theirs = of
    ? `case when t.key = ? then least(t.count, coalesce(
        (select o.count from throttles o where o.key = ? and o.window_ends_at > ?::timestamptz), 0)) else t.count end`
    : 't.count';
  return {
    sql: `insert into throttles as t (key, count, window_ends_at)
      values ${windows.map(() => '(?, 0, ?::timestamptz)').join(', ')}
      on conflict (key) do update set count = case
        when t.window_ends_at <= ?::timestamptz then 0
        when t.count >= ${limitOf(windows, 't.key')} then t.count
        else t.count - ${theirs} end`,
    returning: `window_ends_at > ?::timestamptz and count >= ${limitOf(windows, 'key')} as was_full`,
    params: [
      ...windows.flatMap((w) => [w.key, at]),
      at,
      ...limitParams(windows),
      ...(of ? [of.shared, of.own, at] : []),
      at,
      ...limitParams(windows),
    ],
    abortIf: 'was_full',
  };
};

/** Starts the windows anew, unless one of them was full: then the whole commit is stale. */
export const clear = (windows: Window[], now: Date): WriteFragment => ({
  sql: `delete from throttles where key in (${windows.map(() => '?').join(', ')})`,
  returning: `window_ends_at > ?::timestamptz
    and count >= ${limitOf(windows, 'key')} as was_full`,
  params: [...windows.map((w) => w.key), now.toISOString(), ...limitParams(windows)],
  abortIf: 'was_full',
});

export const reset = (key: string): WriteFragment => fragment('delete from throttles where key = ?', [key]);

/** As `count`, at once and by itself. */
export const countNow = (db: Pick<Database, 'writes'>, windows: Window[], now: Date) =>
  execute(db.writes, [count(windows, now)]);

/** As `countWithin`, at once and by itself. @throws VersionConflict when a window has no room left */
export const countWithinNow = (db: Pick<Database, 'writes'>, windows: Window[], now: Date) =>
  execute(db.writes, [countWithin(windows, now)]);

/** As `reset`, at once and by itself. */
export const resetNow = (db: Pick<Database, 'writes'>, key: string) => execute(db.writes, [reset(key)]);

/** The first window without room in counts already read, or null. */
export const full = (windows: Window[], counts: Record<string, number>): Window | null =>
  windows.find((w) => (counts[w.key] ?? 0) >= w.limit) ?? null;

/** Counts of the windows that have not ended, by key. */
export async function counts(db: Database, windows: Window[], now: Date): Promise<Record<string, number>> {
  const keys = windows.map(({ key }) => key);
  const rows = await db.reads
    .select({ key: throttles.key, count: throttles.count })
    .from(throttles)
    .where(and(inArray(throttles.key, keys), gt(throttles.windowEndsAt, now)));
  return Object.fromEntries(rows.map(({ key, count }) => [key, count]));
}

/** Counters whose windows are over say nothing any more. */
export const deleteExpired = (db: Pick<Database, 'transaction'>, now: Date): Promise<void> =>
  deleteInBatches(
    db,
    `delete from throttles where key = any(array(
      select key from throttles where window_ends_at <= $1::timestamptz limit $2::int for update skip locked))`,
    now,
  );
