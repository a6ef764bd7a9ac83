/** Sessions that a commit ends without knowing beforehand which they are: ended, counted and recorded in one statement. */
import { fragment, type WriteFragment } from './write/fragment.ts';

/** What such a part returned; the later parts of its statement read it. At most one of them fits into a commit. */
export const ENDED = 'ended_sessions';

/** The part of a commit that ends sessions, told by its `update`. One that had run out before is closed in silence. */
export const ending = (sql: string, params: unknown[]): WriteFragment => ({
  name: ENDED,
  returning: 'id, least(expires_at, idle_expires_at) > revoked_at as live',
  returnsColumn: '(count(*) filter (where live))::int',
  sql,
  params,
});

export const endedCount = `select count(*) from {${ENDED}} where live`;

export type EndRecord = {
  at: Date;
  reason: string;
  /** A UUIDv7; each row keeps its time and gets a random tail of its own. */
  auditId: string;
  accountId: string;
  actor: string;
  requestId: string | null;
};

/** One audit row and one `session.revoked` per session that ended, after the `lastSeq`-th event of the account. */
export const endRecords = (r: EndRecord, lastSeq: number): WriteFragment[] => {
  const at = r.at.toISOString();
  return [
    fragment(
      `insert into audit_events (id, at, type, outcome, reason, account_id, actor, session_id, request_id)
       select (left(?, 24) || right(gen_random_uuid()::text, 12))::uuid, ?::timestamptz, 'session.revoked', 'success',
         ?, ?::uuid, ?, id, ? from {${ENDED}} where live`,
      [r.auditId, at, r.reason, r.accountId, r.actor, r.requestId],
    ),
    fragment(
      `insert into outbox (id, topic, account_id, account_seq, payload, status, due_at, created_at)
       select 'session:' || id || ':end', 'event', ?::uuid, ?::bigint + row_number() over (order by id),
         jsonb_build_object('type', 'session.revoked', 'outcome', 'success', 'reason', ?::text, 'session_id', id),
         'pending', ?::timestamptz, ?::timestamptz from {${ENDED}} where live`,
      [r.accountId, lastSeq, r.reason, at, at],
    ),
  ];
};
