/** At most so many live sessions of one account: the oldest give way in the commit that opens another. */
import { sql } from './driver/drizzle.ts';
import { ending } from './ended-sessions.ts';
import type { WriteFragment } from './write/fragment.ts';

/**
 * Leaves room for one more. The account is named twice: a plan made on an empty table otherwise walks the index of all
 * live sessions (0.26 ms at a thousand of them).
 */
export const endSurplus = (accountId: string, max: number, now: Date): WriteFragment => {
  const at = now.toISOString();
  const { returnsColumn: _untold, ...part } = ending(
    `update sessions set revoked_at = ?::timestamptz, revoke_reason = 'limit'
      where account_id = ? and revoked_at is null and id = any(array(
        select id from sessions where account_id = ? and revoked_at is null
          and expires_at > ?::timestamptz and idle_expires_at > ?::timestamptz
        order by created_at desc, id desc offset ?::int))`,
    [at, accountId, accountId, at, at, max - 1],
  );
  return part;
};

/** Sessions nobody has ended, expired ones included: below the limit nothing has to give way. */
export const openSessionsOf = (accountId: unknown) =>
  sql<number>`(select count(*)::int from sessions n where n.account_id = ${accountId} and n.revoked_at is null)`;
