/** At most so many live sessions of one account: the oldest give way in the commit that opens another. */
import { sql } from './drizzle.ts';
import { type Part, part } from './statement.ts';

const NAME = 'surplus_sessions';

/**
 * Leaves room for one more. What ended is readable by the later parts of the same statement. The account is named twice:
 * a plan made on an empty table otherwise walks the index of all live sessions (0.26 ms at a thousand of them).
 */
export const endSurplus = (accountId: string, max: number, now: Date): Part => {
  const at = now.toISOString();
  return {
    name: NAME,
    returning: 'id',
    sql: `update sessions set revoked_at = ?::timestamptz, revoke_reason = 'limit'
      where account_id = ? and revoked_at is null and id = any(array(
        select id from sessions where account_id = ? and revoked_at is null
          and expires_at > ?::timestamptz and idle_expires_at > ?::timestamptz
        order by created_at desc, id desc offset ?::int))`,
    params: [at, accountId, accountId, at, at, max - 1],
  };
};

/** Sessions nobody has ended, expired ones included: below the limit nothing has to give way. */
export const openSessionsOf = (accountId: unknown) =>
  sql<number>`(select count(*)::int from sessions n where n.account_id = ${accountId} and n.revoked_at is null)`;

export const surplusCount = `select count(*) from ${NAME}`;

export type SurplusRecord = {
  at: Date;
  /** A UUIDv7; each row keeps its time and gets a random tail of its own. */
  auditId: string;
  accountId: string;
  actor: string;
  requestId: string | null;
};

/** One audit row and one `session.revoked` per session that gave way, after the `lastSeq`-th event of the account. */
export const surplusRecords = (r: SurplusRecord, lastSeq: number): Part[] => {
  const at = r.at.toISOString();
  return [
    part(
      `insert into audit_events (id, at, type, outcome, reason, account_id, actor, session_id, request_id)
       select (left(?, 24) || right(gen_random_uuid()::text, 12))::uuid, ?::timestamptz, 'session.revoked', 'success',
         'limit', ?::uuid, ?, id, ? from ${NAME}`,
      [r.auditId, at, r.accountId, r.actor, r.requestId],
    ),
    part(
      `insert into outbox (id, topic, account_id, account_seq, payload, status, due_at, created_at)
       select 'session:' || id || ':end', 'event', ?::uuid, ?::bigint + row_number() over (order by id),
         jsonb_build_object('type', 'session.revoked', 'outcome', 'success', 'reason', 'limit', 'session_id', id),
         'pending', ?::timestamptz, ?::timestamptz from ${NAME}`,
      [r.accountId, lastSeq, at, at],
    ),
  ];
};
