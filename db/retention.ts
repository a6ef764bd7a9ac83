/**
 * Deletes records of what is over: delivered messages, taken webhooks, ended flows and sessions. Never an audit row, a
 * dead message, or a flow that a KYC record names.
 */
import { deleteInBatches } from './batches.ts';
import type { Database } from './client.ts';

/** Deletes rows of `table` by their `key`; rows that somebody else holds wait for the next round. */
const purge = (table: string, key: string, ended: string) => `delete from ${table} where ${key} = any(array(
  select ${key} from ${table} where ${ended} limit $2::int for update skip locked))`;

const OUTBOX = purge('outbox', 'id', "status = 'done' and done_at <= $1::timestamptz order by done_at");
const RECEIPTS = purge('webhook_receipts', 'id', 'received_at <= $1::timestamptz order by received_at');
/** One that ran out counts from its absolute end. */
const SESSIONS = purge('sessions', 'id', 'coalesce(revoked_at, expires_at) <= $1::timestamptz');

/** The steps of a flow go with it. */
const FLOWS = `with gone as (
    delete from flows where id = any(array(
      select f.id from flows f
      where f.status in ('done', 'archived') and f.updated_at <= $1::timestamptz
        and not exists (select 1 from kyc_records k where k.flow_id = f.id)
      order by f.updated_at limit $2::int for update skip locked))
    returning id),
  steps as (delete from flow_steps where flow_id = any(array(select id from gone)))
  select id from gone`;

/** The time until which each kind is deleted. */
export type Deadlines = { outbox: Date; webhookReceipts: Date; flows: Date; sessions: Date };

export async function purgeEnded(db: Pick<Database, 'transaction'>, until: Deadlines): Promise<void> {
  await deleteInBatches(db, OUTBOX, until.outbox);
  await deleteInBatches(db, RECEIPTS, until.webhookReceipts);
  await deleteInBatches(db, FLOWS, until.flows);
  await deleteInBatches(db, SESSIONS, until.sessions);
}
