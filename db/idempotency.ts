/**
 * Which keyed requests have run: reserved before the work, marked by the very commit that has their effect, completed
 * with their sealed answer, gone after a day. What was committed must never run again.
 */
import { deleteInBatches } from './batches.ts';
import type { Database } from './client.ts';
import { idempotencyRecords } from './schema.ts';
import { update, type WriteFragment } from './write/fragment.ts';

/** One run's hold on a key. Whoever takes the key over makes a `run` of its own, and this one can commit no more. */
export type Reservation = { key: string; run: string };

/** What a run begins with: `committed` names the steps an earlier run has made, null when none has. */
export type Reserved = { committed: string[] | null };
export type Stored = { fingerprint: string; status: number | null; answer: string | null };

/**
 * A reservation this old died with its process: the 5 s that a request may run at most, and one more. A run that is
 * slower still has lost its key, and with it the right to commit.
 */
const ABANDONED_AFTER_MS = 6000;

/** What was committed outlives the run that did it; only a day makes a key free of it. */
const RESERVE = `
  insert into idempotency_records as r (key, fingerprint, run, created_at, expires_at)
  values ($1, $2, $3::uuid, $4::timestamptz, $5::timestamptz)
  on conflict (key) do update set
    fingerprint = excluded.fingerprint, run = excluded.run, status = null, answer = null,
    created_at = excluded.created_at, expires_at = excluded.expires_at,
    committed_at = case when r.expires_at > $4::timestamptz then r.committed_at end,
    steps = case when r.expires_at > $4::timestamptz then r.steps end
  where r.expires_at <= $4::timestamptz
     or (r.status is null and r.fingerprint = excluded.fingerprint
         and (r.created_at <= $6::timestamptz or (r.committed_at is not null and r.run is null)))
  returning committed_at is not null as committed, array_to_json(steps)::text as steps`;

/** Without a commit the key is free again; with one it waits for whoever asks next to make the answer. */
const RELEASE = `
  with freed as (
    delete from idempotency_records where key = $1 and run = $2::uuid and status is null and committed_at is null)
  update idempotency_records set run = null
  where key = $1 and run = $2::uuid and status is null and committed_at is not null`;

export type IdempotencyStore = ReturnType<typeof createIdempotencyStore>;

/** Ties a commit to its key: written with the effect or not at all, and only by the run that still holds the key. */
export const settle = ({ key, run }: Reservation, steps: string[], now: Date): WriteFragment =>
  update(
    idempotencyRecords,
    { committedAt: now, steps },
    { sql: 'key = ? and run = ?::uuid and status is null and committed_at is null', params: [key, run] },
    { expectRows: 1 },
  );

/** Whether the run may still commit under its key. */
export async function holds(db: Pick<Database, 'writes'>, { key, run }: Reservation): Promise<boolean> {
  const text = `select 1 from idempotency_records
    where key = $1 and run = $2::uuid and status is null and committed_at is null`;
  return (await db.writes.unsafe(text, [key, run], { prepare: true })).length === 1;
}

export function createIdempotencyStore(db: Database) {
  const query = (text: string, params: unknown[]) =>
    db.writes.unsafe(text, params as never[], { prepare: true });
  const ago = (now: Date, ms: number): string => new Date(now.getTime() - ms).toISOString();
  return {
    /** The run's hold, or what is known of a key that is not to be had. */
    async reserve(
      { key, run }: Reservation,
      fingerprint: string,
      now: Date,
      ttlMs: number,
    ): Promise<Reserved | Stored> {
      const [taken] = await query(RESERVE, [
        key,
        fingerprint,
        run,
        now.toISOString(),
        ago(now, -ttlMs),
        ago(now, ABANDONED_AFTER_MS),
      ]);
      if (taken) return { committed: taken.committed ? JSON.parse((taken.steps as string) ?? '[]') : null };
      const text = 'select fingerprint, status, answer from idempotency_records where key = $1';
      const [row] = await query(text, [key]);
      return (row as unknown as Stored | undefined) ?? { fingerprint, status: null, answer: null };
    },
    async complete({ key, run }: Reservation, status: number, answer: string): Promise<void> {
      await query(
        `update idempotency_records set status = $3::int, answer = $4
         where key = $1 and run = $2::uuid and status is null`,
        [key, run, status, answer],
      );
    },
    /** The run ended without an answer to keep. */
    async release({ key, run }: Reservation): Promise<void> {
      await query(RELEASE, [key, run]);
    },
    /** The answer was to try again later, whatever it has counted. */
    async forget({ key, run }: Reservation): Promise<void> {
      await query('delete from idempotency_records where key = $1 and run = $2::uuid and status is null', [
        key,
        run,
      ]);
    },
    deleteExpired: (now: Date): Promise<void> =>
      deleteInBatches(
        db,
        `delete from idempotency_records where key = any(array(
          select key from idempotency_records where expires_at <= $1::timestamptz limit $2::int
          for update skip locked))`,
        now,
      ),
  };
}
