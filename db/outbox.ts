/** The queue of messages and events: claimed under a lease, in order per account, finished, retried, or dead. */

import type { Database } from './client.ts';
import { type Reservation, settle } from './idempotency.ts';
import { outbox } from './schema.ts';
import { execute } from './write/compose.ts';
import { insert } from './write/fragment.ts';

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
const GATHER_MS = 5;
const LEASE = "interval '30 seconds'";

/**
 * An account's oldest waiting row only: the others follow when it is done, whichever replica asks. Both look-ups are
 * made so that only an index can serve them, however the table looked when the plan was made: 100 rows take 2 ms; a
 * join over the queue took 70 and grew with the table.
 * Commits out of order cannot hide a row: rows are claimed by status, never by "id greater than the last".
 */
const CLAIM = `
  with ready as (
    select o.id from outbox o
    where o.status = 'pending' and o.due_at <= $1::timestamptz
      and (o.leased_until is null or o.leased_until <= $1::timestamptz)
      and (o.account_id is null or o.account_seq = (
        select head.account_seq from outbox head where head.account_id = o.account_id
          and head.status = 'pending' order by head.account_seq limit 1))
    order by o.due_at, o.account_seq limit $2::int for update of o skip locked)
  update outbox o set leased_until = $1::timestamptz + ${LEASE}, attempts = o.attempts + 1
  where o.id = any(array(select id from ready))
  returning o.id, o.topic, o.account_id as "accountId", o.account_seq as "accountSeq", o.flow_id as "flowId",
    o.payload, o.attempts, o.created_at as "createdAt"`;

const DONE = `update outbox set status = 'done', done_at = $2::timestamptz, leased_until = null, last_error = null
  where id = any(array(select jsonb_object_keys($1::jsonb))) and attempts = ($1::jsonb->>id)::int and status not in ('done', 'dead')`;

export function createOutbox(db: Database) {
  const run = (text: string, params: unknown[]) =>
    db.writes.unsafe(text, params as never[], { prepare: true });
  let finished: Record<string, number> = {};
  let flush: Promise<void> | null = null;
  return {
    /** One row that belongs to no commit of a flow. */
    async add(row: {
      id: string;
      topic: string;
      payload: Record<string, unknown>;
      now: Date;
      reservation: Reservation | null;
    }): Promise<void> {
      const { now, reservation, ...rest } = row;
      await execute(db.writes, [
        insert(outbox, [{ ...rest, status: 'pending' as const, dueAt: now, createdAt: now }]),
        ...(reservation ? [settle(reservation, [], now)] : []),
      ]);
    },
    async claim(now: Date, limit: number): Promise<OutboxItem[]> {
      const rows = await run(CLAIM, [now.toISOString(), limit]);
      return rows.map((row) => ({
        ...(row as unknown as OutboxItem),
        accountSeq: row.accountSeq === null ? null : Number(row.accountSeq),
        payload: typeof row.payload === 'string' ? JSON.parse(row.payload) : row.payload,
        createdAt: new Date(row.createdAt as string),
      }));
    },
    /**
     * The three ways out apply to the claim they were made under only: a later claim is another process's. Rows done
     * within a few milliseconds are written by one statement.
     */
    done(item: Claim, now: Date): Promise<void> {
      finished[item.id] = item.attempts;
      flush ??= new Promise<void>((resolve, reject) => {
        setTimeout(() => {
          const claims = finished;
          finished = {};
          flush = null;
          run(DONE, [JSON.stringify(claims), now.toISOString()]).then(() => resolve(), reject);
        }, GATHER_MS);
      });
      return flush;
    },
    /** Leases given up before a first try, as if they had never been taken. */
    async release(items: Claim[]): Promise<void> {
      if (items.length === 0) return;
      await run(
        `update outbox set leased_until = null, attempts = 0
         where id = any(array(select jsonb_array_elements_text($1::jsonb))) and attempts = 1 and status = 'pending'`,
        [JSON.stringify(items.map(({ id }) => id))],
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
  };
}
export type Outbox = ReturnType<typeof createOutbox>;
