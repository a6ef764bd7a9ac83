/** Writes and reads of linked broker accounts. Credentials are sealed before they come here, and leave sealed. */
import type { Database } from './client.ts';
import { and, desc, eq, isNull, or, sql } from './driver/drizzle.ts';
import { accounts, flows, tradingAccounts, tradingShares } from './schema.ts';
import { fragment, insert, update, type WriteFragment } from './write/fragment.ts';

export type SealedCredentials = {
  wrappingKey: string;
  wrappedKey: string;
  keyCheck: string;
  fields: Record<string, string>;
};

/** What a link is stored with beside its ids. */
export type NewTradingAccount = {
  broker: 'kite' | 'paper';
  brokerUserId: string;
  accountName: string | null;
  apiKeyLast4: string;
  sealed: SealedCredentials;
};

export type RotatedCredentials = { apiKeyLast4: string; keyVersion: number; sealed: SealedCredentials };

const columnsOf = ({ wrappingKey, wrappedKey, keyCheck, fields }: SealedCredentials) => ({
  wrappingKey,
  wrappedKey,
  keyCheck,
  sealedFields: fields,
});

export const store = (
  ids: { id: string; ownerId: string; flowId: string },
  { sealed, ...row }: NewTradingAccount,
  now: Date,
): WriteFragment =>
  insert(tradingAccounts, [
    { ...ids, ...row, ...columnsOf(sealed), keyVersion: 1, createdAt: now, updatedAt: now },
  ]);

/** Stale when another rotation came between, or the account is unlinked by now. */
export const replaceCredentials = (
  id: string,
  { apiKeyLast4, keyVersion, sealed }: RotatedCredentials,
  now: Date,
): WriteFragment =>
  update(
    tradingAccounts,
    { apiKeyLast4, keyVersion, ...columnsOf(sealed), updatedAt: now },
    { sql: 'id = ? and key_version = ? and unlinked_at is null', params: [id, keyVersion - 1] },
    { expectRows: 1 },
  );

const SHREDDED = `wrapping_key = null, wrapped_key = null, key_check = null, api_key_last4 = null, sealed_fields = '{}'`;

/** Destroys the wrapped data key and the ciphertexts; the row stays for the record. */
export const shred = (id: string, ownerId: string, now: Date): WriteFragment =>
  fragment(
    `update trading_accounts set unlinked_at = ?::timestamptz, updated_at = ?::timestamptz, ${SHREDDED}
     where id = ? and owner_id = ? and unlinked_at is null`,
    [now.toISOString(), now.toISOString(), id, ownerId],
    1,
  );

/** Destroys those of all accounts of a person who goes; stale unless they are exactly as many as were read. */
export const shredAll = (ownerId: string, many: number, now: Date): WriteFragment[] => [
  fragment(
    `update trading_accounts set unlinked_at = ?::timestamptz, updated_at = ?::timestamptz, ${SHREDDED}
     where owner_id = ? and unlinked_at is null`,
    [now.toISOString(), now.toISOString(), ownerId],
    many,
  ),
  fragment(
    "update flows set status = 'archived' where account_id = ? and machine = 'trading_link' and status = 'active'",
    [ownerId],
  ),
];

export const describe = (
  id: string,
  change: { accountName?: string | null; preferences?: Record<string, unknown> },
  now: Date,
): WriteFragment =>
  update(
    tradingAccounts,
    { ...change, updatedAt: now },
    { sql: 'id = ? and unlinked_at is null', params: [id] },
    { expectRows: 1 },
  );

/** Holds the credentials as they were read until the commit is through. */
export const stillHeld = (id: string, keyVersion: number): WriteFragment =>
  fragment(
    'select 1 from trading_accounts where id = ? and key_version = ? and unlinked_at is null for share',
    [id, keyVersion],
    1,
  );

export type Access = 'owner' | 'view' | 'trade' | 'manage';

/** What lists and answers show; nothing of it is sealed. */
const shown = {
  id: tradingAccounts.id,
  ownerId: tradingAccounts.ownerId,
  flowId: tradingAccounts.flowId,
  broker: tradingAccounts.broker,
  brokerUserId: tradingAccounts.brokerUserId,
  accountName: tradingAccounts.accountName,
  preferences: tradingAccounts.preferences,
  apiKeyLast4: tradingAccounts.apiKeyLast4,
  createdAt: tradingAccounts.createdAt,
  state: flows.state,
  /** The machine's context: reasons, counters and times. */
  context: sql<Record<string, unknown>>`${flows.snapshot} -> 'context'`,
};

export type ShownTradingAccount = Awaited<ReturnType<TradingAccountStore['of']>>[number];
export type TradingAccountStore = ReturnType<typeof createTradingAccountStore>;

/** More than anybody links; a list never grows beyond it. */
const MOST = 1000;

export function createTradingAccountStore(db: Database) {
  // A constant, because a parameter does not match the condition of a partial index.
  const shareActive = sql`${tradingShares.status} = 'active'`;
  const access = sql<Access>`case when ${tradingAccounts.ownerId} = ${sql.placeholder('accountId')}::uuid
    then 'owner' else ${tradingShares.access} end`;
  const share = and(
    eq(tradingShares.tradingAccountId, tradingAccounts.id),
    eq(tradingShares.memberId, sql.placeholder('accountId')),
    shareActive,
    sql`(${tradingShares.expiresAt} is null or ${tradingShares.expiresAt} > ${sql.placeholder('now')}::timestamptz)`,
  );
  const mine = or(
    eq(tradingAccounts.ownerId, sql.placeholder('accountId')),
    sql`${tradingShares.id} is not null`,
  );
  const owned = db.reads
    .select({ ...shown, access: sql<Access>`'owner'` })
    .from(tradingAccounts)
    .innerJoin(flows, eq(flows.id, tradingAccounts.flowId))
    .where(
      and(eq(tradingAccounts.ownerId, sql.placeholder('accountId')), isNull(tradingAccounts.unlinkedAt)),
    );
  const shared = db.reads
    .select({ ...shown, access: sql<Access>`${tradingShares.access}` })
    .from(tradingShares)
    .innerJoin(tradingAccounts, eq(tradingAccounts.id, tradingShares.tradingAccountId))
    .innerJoin(flows, eq(flows.id, tradingAccounts.flowId))
    .where(
      and(
        eq(tradingShares.memberId, sql.placeholder('accountId')),
        shareActive,
        sql`(${tradingShares.expiresAt} is null or ${tradingShares.expiresAt} > ${sql.placeholder('now')}::timestamptz)`,
        isNull(tradingAccounts.unlinkedAt),
      ),
    );
  const list = owned.unionAll(shared).limit(MOST).prepare('trading_accounts_of');
  const one = db.reads
    .select({ ...shown, access })
    .from(tradingAccounts)
    .innerJoin(flows, eq(flows.id, tradingAccounts.flowId))
    .leftJoin(tradingShares, share)
    .where(and(eq(tradingAccounts.id, sql.placeholder('id')), isNull(tradingAccounts.unlinkedAt), mine))
    .prepare('trading_account_for');
  const credentials = db.reads
    .select({
      id: tradingAccounts.id,
      ownerId: tradingAccounts.ownerId,
      flowId: tradingAccounts.flowId,
      broker: tradingAccounts.broker,
      brokerUserId: tradingAccounts.brokerUserId,
      apiKeyLast4: tradingAccounts.apiKeyLast4,
      keyVersion: tradingAccounts.keyVersion,
      wrappingKey: tradingAccounts.wrappingKey,
      wrappedKey: tradingAccounts.wrappedKey,
      keyCheck: tradingAccounts.keyCheck,
      fields: tradingAccounts.sealedFields,
      ownerStatus: accounts.status,
      ownerSeq: accounts.eventSeq,
    })
    .from(tradingAccounts)
    .innerJoin(accounts, eq(accounts.id, tradingAccounts.ownerId))
    .where(and(eq(tradingAccounts.id, sql.placeholder('id')), isNull(tradingAccounts.unlinkedAt)))
    .prepare('trading_account_credentials');
  return {
    /** Linked accounts of a person and those shared with it, in one query. */
    of: (accountId: string, now: Date) => list.execute({ accountId, now: now.toISOString() }),
    /** One of them; undefined for everybody else. */
    forAccount: async (id: string, accountId: string, now: Date) =>
      (await one.execute({ id, accountId, now: now.toISOString() }))[0],
    /** With the sealed credentials, for whoever has found out that the caller may use them. */
    credentialsOf: async (id: string) => (await credentials.execute({ id }))[0],
    isLinked: async (ownerId: string, broker: 'kite' | 'paper', brokerUserId: string): Promise<boolean> =>
      (
        await db.reads
          .select({ id: tradingAccounts.id })
          .from(tradingAccounts)
          .where(
            and(
              eq(tradingAccounts.ownerId, ownerId),
              eq(tradingAccounts.broker, broker),
              eq(tradingAccounts.brokerUserId, brokerUserId),
              isNull(tradingAccounts.unlinkedAt),
            ),
          )
      ).length > 0,
    linkedIds: async (ownerId: string): Promise<string[]> =>
      (
        await db.reads
          .select({ id: tradingAccounts.id })
          .from(tradingAccounts)
          .where(and(eq(tradingAccounts.ownerId, ownerId), isNull(tradingAccounts.unlinkedAt)))
          .orderBy(desc(tradingAccounts.createdAt))
      ).map(({ id }) => id),
  };
}
