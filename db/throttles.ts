/** Durable failure counters: they survive restarts and Redis, and are counted in the commit that records the failure. */

import { whileFull } from './batches.ts';
import type { Database } from './client.ts';
import { and, gt, inArray } from './drizzle.ts';
import { throttles } from './schema.ts';
import { type Part, part } from './statement.ts';

export type Window = { key: string; limit: number; windowMs: number };

/** One more failure in each window; a window starts with its first failure. */
export const count = (windows: Window[], now: Date): Part => {
  const at = now.toISOString();
  const tuples = windows.map(() => '(?, 1, ?::timestamptz)').join(', ');
  return part(
    `insert into throttles (key, count, window_ends_at) values ${tuples}
     on conflict (key) do update set
       count = case when throttles.window_ends_at <= ?::timestamptz then 1 else throttles.count + 1 end,
       window_ends_at = case when throttles.window_ends_at <= ?::timestamptz
         then excluded.window_ends_at else throttles.window_ends_at end`,
    [...windows.flatMap((w) => [w.key, new Date(now.getTime() + w.windowMs).toISOString()]), at, at],
  );
};

/** The failure next after `before`: stale when another one was counted meanwhile, so that none shares a place. */
export const countNext = ({ key, windowMs }: Window, before: number, now: Date): Part => {
  const at = now.toISOString();
  return {
    sql: `insert into throttles (key, count, window_ends_at) values (?, 1, ?::timestamptz)
     on conflict (key) do update set
       count = case when throttles.window_ends_at <= ?::timestamptz then 1 else throttles.count + 1 end,
       window_ends_at = case when throttles.window_ends_at <= ?::timestamptz
         then excluded.window_ends_at else throttles.window_ends_at end`,
    returning: 'throttles.count <> ?::int as moved',
    params: [key, new Date(now.getTime() + windowMs).toISOString(), at, at, before + 1],
    never: 'moved',
  };
};

/** Starts the windows anew, unless one of them was full: then the whole commit is stale. */
export const clear = (windows: Window[], now: Date): Part => ({
  sql: `delete from throttles where key in (${windows.map(() => '?').join(', ')})`,
  returning: `window_ends_at > ?::timestamptz
    and count >= case key ${windows.map(() => 'when ? then ?::int').join(' ')} end as was_full`,
  params: [...windows.map((w) => w.key), now.toISOString(), ...windows.flatMap((w) => [w.key, w.limit])],
  never: 'was_full',
});

export const reset = (key: string): Part => part('delete from throttles where key = ?', [key]);

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
export const deleteExpired = (db: Pick<Database, 'writes'>, now: Date): Promise<void> =>
  whileFull(async (limit) => {
    const text = `delete from throttles where key = any(array(
      select key from throttles where window_ends_at <= $1::timestamptz limit $2::int for update skip locked))`;
    return (await db.writes.unsafe(text, [now.toISOString(), limit], { prepare: true })).count;
  });
