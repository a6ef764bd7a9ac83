/** Which keyed requests have run: reserved before the work, completed with their sealed answer, gone after a day. */
import type { Database } from './client.ts';

export type Stored = { fingerprint: string; status: number | null; answer: string | null };

/** A reservation nobody completed for this long died with its process; the machines make a second try harmless. */
const ABANDONED_AFTER_MS = 60_000;

const RESERVE = `
  insert into idempotency_records (key, fingerprint, created_at, expires_at)
  values ($1, $2, $3::timestamptz, $4::timestamptz)
  on conflict (key) do update set
    fingerprint = excluded.fingerprint, status = null, answer = null,
    created_at = excluded.created_at, expires_at = excluded.expires_at
  where idempotency_records.expires_at <= $3::timestamptz
     or (idempotency_records.status is null and idempotency_records.fingerprint = excluded.fingerprint
         and idempotency_records.created_at <= $5::timestamptz)
  returning key`;

export type IdempotencyStore = ReturnType<typeof createIdempotencyStore>;

export function createIdempotencyStore(db: Database) {
  const run = (text: string, params: unknown[]) =>
    db.writes.unsafe(text, params as never[], { prepare: true });
  return {
    /** Null: reserved for the caller, who runs the request. Else what is known of the key. */
    async reserve(key: string, fingerprint: string, now: Date, ttlMs: number): Promise<Stored | null> {
      const [taken] = await run(RESERVE, [
        key,
        fingerprint,
        now.toISOString(),
        new Date(now.getTime() + ttlMs).toISOString(),
        new Date(now.getTime() - ABANDONED_AFTER_MS).toISOString(),
      ]);
      if (taken) return null;
      const [row] = await run('select fingerprint, status, answer from idempotency_records where key = $1', [
        key,
      ]);
      return (row as unknown as Stored | undefined) ?? { fingerprint, status: null, answer: null };
    },
    async complete(key: string, status: number, answer: string): Promise<void> {
      await run('update idempotency_records set status = $2::int, answer = $3 where key = $1', [
        key,
        status,
        answer,
      ]);
    },
    /** The request had no effect worth remembering: it may be tried again. */
    async release(key: string): Promise<void> {
      await run('delete from idempotency_records where key = $1 and status is null', [key]);
    },
    async deleteExpired(now: Date): Promise<void> {
      await run(
        `delete from idempotency_records where key in (
           select key from idempotency_records where expires_at <= $1::timestamptz limit 1000)`,
        [now.toISOString()],
      );
    },
  };
}
