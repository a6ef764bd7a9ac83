/** Who may do what with a trading account of somebody else: invitations, accesses and their ends. Plain rows; each change is audited by the commit it is part of. */
import type { Database } from './client.ts';
import { and, eq, inArray, isNull, sql } from './driver/drizzle.ts';
import { accounts, tradingAccounts, tradingShares } from './schema.ts';
import { fragment, insert, type WriteFragment } from './write/fragment.ts';

export type ShareAccess = 'view' | 'trade' | 'manage';

export const invite = (
  row: {
    id: string;
    tradingAccountId: string;
    ownerId: string;
    memberId: string;
    access: ShareAccess;
    expiresAt: Date;
    accessUntil: Date | null;
  },
  now: Date,
): WriteFragment[] => [
  // The account may be unlinked between the look and the commit.
  fragment(
    'select 1 from trading_accounts where id = ? and unlinked_at is null for share',
    [row.tradingAccountId],
    1,
  ),
  insert(tradingShares, [{ ...row, status: 'invited', invitedAt: now }]),
];

/** Stale unless it is still an invitation in time. */
export const accept = (id: string, memberId: string, now: Date): WriteFragment =>
  fragment(
    `update trading_shares set status = 'active', accepted_at = ?::timestamptz, expires_at = access_until
     where id = ? and member_id = ? and status = 'invited' and expires_at > ?::timestamptz`,
    [now.toISOString(), id, memberId, now.toISOString()],
    1,
  );

/** Stale when one of them is over already. */
export const end = (ids: string[], reason: string, now: Date): WriteFragment =>
  fragment(
    `update trading_shares set status = 'ended', ended_at = ?::timestamptz, end_reason = ?
     where id in (${ids.map(() => '?').join(', ')}) and status <> 'ended'`,
    [now.toISOString(), reason, ...ids],
    ids.length,
  );

/** A share that is not over, with the account of its member as it was read. */
export type LiveShare = {
  id: string;
  tradingAccountId: string;
  memberId: string;
  memberSeq: number;
};

const live = {
  id: tradingShares.id,
  tradingAccountId: tradingShares.tradingAccountId,
  memberId: tradingShares.memberId,
  memberSeq: accounts.eventSeq,
};

export type TradingShareStore = ReturnType<typeof createTradingShareStore>;

export function createTradingShareStore(db: Database) {
  const shown = {
    id: tradingShares.id,
    tradingAccountId: tradingShares.tradingAccountId,
    ownerId: tradingShares.ownerId,
    memberId: tradingShares.memberId,
    access: tradingShares.access,
    status: tradingShares.status,
    invitedAt: tradingShares.invitedAt,
    acceptedAt: tradingShares.acceptedAt,
    expiresAt: tradingShares.expiresAt,
    accessUntil: tradingShares.accessUntil,
    broker: tradingAccounts.broker,
  };
  // A constant, because a parameter does not match the condition of a partial index.
  const notEnded = sql`${tradingShares.status} <> 'ended'`;
  const notOver = and(notEnded, isNull(tradingAccounts.unlinkedAt));
  const select = () =>
    db.reads
      .select(shown)
      .from(tradingShares)
      .innerJoin(tradingAccounts, eq(tradingAccounts.id, tradingShares.tradingAccountId));
  const inTime = (now: Date) =>
    sql`(${tradingShares.expiresAt} is null or ${tradingShares.expiresAt} > ${now.toISOString()}::timestamptz)`;

  return {
    /** Shares and invitations of one account, newest first. */
    ofTradingAccount: (tradingAccountId: string, now: Date) =>
      select()
        .where(and(eq(tradingShares.tradingAccountId, tradingAccountId), notOver, inTime(now)))
        .orderBy(sql`${tradingShares.invitedAt} desc`)
        .limit(100),

    /** What a person has been offered and not answered. */
    invitationsOf: (memberId: string, now: Date) =>
      select()
        .where(
          and(
            eq(tradingShares.memberId, memberId),
            eq(tradingShares.status, 'invited'),
            notOver,
            inTime(now),
          ),
        )
        .orderBy(sql`${tradingShares.invitedAt} desc`)
        .limit(100),

    byId: async (id: string, now: Date) =>
      (
        await select()
          .where(and(eq(tradingShares.id, id), notOver, inTime(now)))
          .limit(1)
      )[0],

    /** Shares of these trading accounts that are not over. */
    liveOf: async (tradingAccountIds: string[]): Promise<LiveShare[]> =>
      tradingAccountIds.length === 0
        ? []
        : db.reads
            .select(live)
            .from(tradingShares)
            .innerJoin(accounts, eq(accounts.id, tradingShares.memberId))
            .where(and(inArray(tradingShares.tradingAccountId, tradingAccountIds), notEnded)),

    /** The owner or the member of a share, also while blocked, with the account's place in its own order. */
    party: async (accountId: string) =>
      (
        await db.reads
          .select({ id: accounts.id, eventSeq: accounts.eventSeq })
          .from(accounts)
          .where(eq(accounts.id, accountId))
      )[0],

    /** Shares and invitations of this member that are not over. */
    heldBy: (memberId: string) =>
      db.reads
        .select({ id: tradingShares.id, tradingAccountId: tradingShares.tradingAccountId })
        .from(tradingShares)
        .where(and(eq(tradingShares.memberId, memberId), notEnded)),

    /** Shares whose time is over and that nobody has ended yet. */
    overdue: (now: Date, limit: number): Promise<LiveShare[]> =>
      db.reads
        .select(live)
        .from(tradingShares)
        .innerJoin(accounts, eq(accounts.id, tradingShares.memberId))
        .where(and(notEnded, sql`${tradingShares.expiresAt} <= ${now.toISOString()}::timestamptz`))
        .limit(limit),
  };
}
