/** The relay's queue: claimed under a lease, in order per account, finished, retried, or dead. */
import { sql } from 'drizzle-orm';
import type { Database } from './client.ts';

export type OutboxItem = {
  id: string;
  topic: string;
  accountId: string | null;
  accountSeq: number | null;
  flowId: string | null;
  payload: Record<string, unknown>;
  attempts: number;
  createdAt: Date;
};

type Claim = Pick<OutboxItem, 'id' | 'attempts'>;

const MINE = "id = $1 and attempts = $2::int and status = 'pending'";
const LEASE = "interval '30 seconds'";

/** Commits out of order cannot hide a row: rows are claimed by status, never by "id greater than the last". */
const CLAIM = `
  with ready as (
    select o.id from outbox o
    where o.status = 'pending' and o.due_at <= $1::timestamptz
      and (o.leased_until is null or o.leased_until <= $1::timestamptz)
      and (o.account_id is null or not exists (
        select 1 from outbox earlier where earlier.account_id = o.account_id
          and earlier.account_seq < o.account_seq and earlier.status = 'pending'))
    order by o.due_at, o.account_seq limit $2::int for update of o skip locked)
  update outbox o set leased_until = $1::timestamptz + ${LEASE}, attempts = o.attempts + 1
  from ready where o.id = ready.id
  returning o.id, o.topic, o.account_id as "accountId", o.account_seq as "accountSeq", o.flow_id as "flowId",
    o.payload, o.attempts, o.created_at as "createdAt"`;

export function createOutbox(db: Database) {
  const run = (text: string, params: unknown[]) =>
    db.writes.unsafe(text, params as never[], { prepare: true });
  return {
    async claim(now: Date, limit: number): Promise<OutboxItem[]> {
      const rows = await run(CLAIM, [now.toISOString(), limit]);
      return rows.map((row) => ({
        ...(row as unknown as OutboxItem),
        accountSeq: row.accountSeq === null ? null : Number(row.accountSeq),
        payload: typeof row.payload === 'string' ? JSON.parse(row.payload) : row.payload,
        createdAt: new Date(row.createdAt as string),
      }));
    },
    /** The three ways out apply to the claim they were made under only: a later claim is somebody else's. */
    async done(item: Claim, now: Date): Promise<void> {
      await run(
        `update outbox set status = 'done', done_at = $3::timestamptz, leased_until = null, last_error = null
         where ${MINE}`,
        [item.id, item.attempts, now.toISOString()],
      );
    },
    async retry(item: Claim, error: string, dueAt: Date): Promise<void> {
      await run(
        `update outbox set leased_until = null, last_error = $3, due_at = $4::timestamptz where ${MINE}`,
        [item.id, item.attempts, error, dueAt.toISOString()],
      );
    },
    async dead(item: Claim, error: string, now: Date): Promise<void> {
      await run(
        `update outbox set status = 'dead', leased_until = null, last_error = $3, done_at = $4::timestamptz
         where ${MINE}`,
        [item.id, item.attempts, error, now.toISOString()],
      );
    },
    /** Waiting, dead, and the age of the oldest waiting row in milliseconds. */
    async lag(now: Date): Promise<{ pending: number; dead: number; oldestMs: number }> {
      const rows = await db.reads.execute<{ pending: string; dead: string; oldest: string | null }>(sql`
        select count(*) filter (where status = 'pending') as pending,
               count(*) filter (where status = 'dead') as dead,
               min(due_at) filter (where status = 'pending') as oldest
        from outbox where status in ('pending', 'dead')`);
      const row = rows[0];
      const oldest = row?.oldest ? now.getTime() - new Date(row.oldest).getTime() : 0;
      return { pending: Number(row?.pending), dead: Number(row?.dead), oldestMs: Math.max(0, oldest) };
    },
  };
}
export type Outbox = ReturnType<typeof createOutbox>;
