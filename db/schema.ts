/** Every table on one page. Columns hold no one-time code, no plain secret and no clear document number. */
import {
  bigint,
  boolean,
  date,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  sql,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} from './driver/drizzle.ts';

const at = () => timestamp({ withTimezone: true, mode: 'date' });

/** A person. `UNVERIFIED` is the PreUser of S1; only sign-up effects move `tier`. */
export const accounts = pgTable(
  'accounts',
  {
    id: uuid().primaryKey(),
    status: text({ enum: ['active', 'blocked', 'deleted', 'archived'] }).notNull(),
    tier: text({ enum: ['UNVERIFIED', 'LIMITED', 'FULL'] }).notNull(),
    /** Position of the newest outbox row of this account; also the version that commits compare. */
    eventSeq: bigint({ mode: 'number' }).notNull().default(0),
    roles: text().array().notNull().default(sql`'{}'`),
    /** Only where a contract asks for one; unique without regard to case. */
    username: text(),
    createdAt: at().notNull(),
    updatedAt: at().notNull(),
    lastLoginAt: at(),
    deletedAt: at(),
  },
  (t) => [
    index().on(t.deletedAt).where(sql`${t.deletedAt} is not null`),
    uniqueIndex('accounts_username').on(sql`lower(${t.username})`),
  ],
);

/** One row per canonical identifier: that is what makes it belong to one account at most. Its id is a keyed hash. */
export const contacts = pgTable(
  'contacts',
  {
    id: uuid().primaryKey(),
    type: text({ enum: ['phone', 'email'] }).notNull(),
    canonical: text().notNull(),
    value: text().notNull(),
    accountId: uuid().references(() => accounts.id),
    verifiedAt: at(),
    isPrimary: boolean().notNull().default(true),
    createdAt: at().notNull(),
    /** What its retention counts from while nobody owns it; null: from when it was made. */
    keptFrom: at(),
  },
  (t) => [
    uniqueIndex().on(t.type, t.canonical),
    index().on(t.accountId),
    index('contacts_unowned')
      .on(sql`coalesce(${t.keptFrom}, ${t.createdAt})`)
      .where(sql`${t.accountId} is null`),
  ],
);

export const credentials = pgTable('credentials', {
  accountId: uuid()
    .primaryKey()
    .references(() => accounts.id),
  passwordHash: text(),
  passwordVersion: integer().notNull().default(1),
  passwordChangedAt: at(),
  /** When the password came back with a backup; null once it was used together with a code, or replaced. */
  passwordRestoredAt: at(),
  pinHash: text(),
});

export const profiles = pgTable('profiles', {
  accountId: uuid()
    .primaryKey()
    .references(() => accounts.id),
  /** One name as given, where nobody asked for its parts. */
  displayName: text(),
  firstName: text(),
  lastName: text(),
  birthDate: date({ mode: 'string' }),
  address: jsonb().$type<Record<string, string>>(),
  timezone: text(),
  locale: text(),
  avatarUrl: text(),
  preferences: jsonb().$type<Record<string, unknown>>().notNull().default({}),
  completedAt: at(),
});

/**
 * One row per running lifecycle; `snapshot` is what a machine rests in, `version` counts its committed steps. What it
 * and its steps refer to is written by the same or an earlier commit, and what is erased later is named by ended flows
 * only, so no foreign key asks again: three of them cost a third of an opening commit (0.25 instead of 0.36 ms of
 * Postgres).
 */
export const flows = pgTable(
  'flows',
  {
    id: uuid().primaryKey(),
    machine: text().notNull(),
    machineVersion: integer().notNull(),
    /** What a flow of this machine is for, when a machine serves several ends; null otherwise. */
    purpose: text(),
    version: integer().notNull(),
    /** Dotted path of the resting state, for queries; the snapshot decides. */
    state: text().notNull(),
    status: text({ enum: ['active', 'done', 'archived', 'quarantined'] }).notNull(),
    snapshot: jsonb().$type<{ value: unknown; context: unknown; status: string }>().notNull(),
    accountId: uuid(),
    contactId: uuid(),
    tokenHash: text(),
    /** What the current token was derived with, so that a lost answer can be repeated. */
    tokenGeneration: bigint({ mode: 'number' }),
    tokenExpiresAt: at(),
    createdAt: at().notNull(),
    updatedAt: at().notNull(),
    stateEnteredAt: at().notNull(),
    nextDueAt: at(),
  },
  (t) => [
    index().on(t.machine, t.state, t.stateEnteredAt),
    index().on(t.contactId, t.machine, t.createdAt),
    index('flows_ended').on(t.updatedAt).where(sql`${t.status} in ('done', 'archived')`),
    index().on(t.accountId, t.machine, t.createdAt),
    index().on(t.nextDueAt).where(sql`${t.nextDueAt} is not null and ${t.status} = 'active'`),
  ],
);

/** One row per event a flow was sent: the edges it took, or that it was refused. */
export const flowSteps = pgTable(
  'flow_steps',
  {
    id: uuid().primaryKey(),
    flowId: uuid().notNull(),
    /** Version of the flow after the step; for a refused event the version it met. */
    seq: integer().notNull(),
    machine: text().notNull(),
    machineVersion: integer().notNull(),
    at: at().notNull(),
    event: text().notNull(),
    edges: text().array().notNull(),
    fromState: text().notNull(),
    toState: text().notNull(),
    refused: boolean().notNull(),
    reason: text(),
    actor: text({ enum: ['client', 'provider', 'reviewer', 'system'] }).notNull(),
    requestId: text(),
    /** Context after the step: ids, verdicts, counters and times only. */
    context: jsonb().$type<Record<string, unknown>>(),
  },
  (t) => [index().on(t.flowId, t.id)],
);

/**
 * A signed-in device and its refresh family: the generation decides which refresh token is live. The commit that opens one
 * moves its account's row too, so no foreign key asks again whether there is one.
 */
export const sessions = pgTable(
  'sessions',
  {
    id: uuid().primaryKey(),
    accountId: uuid().notNull(),
    flowId: uuid(),
    deviceId: text(),
    userAgent: text(),
    network: text(),
    country: text(),
    amr: text().array().notNull(),
    acr: text().notNull(),
    authTime: at().notNull(),
    /** A factor of the account came or went: what was proven before counts as a single factor from here on. */
    downgradedAt: at(),
    persistent: boolean().notNull(),
    scope: text().array().notNull(),
    createdAt: at().notNull(),
    lastActiveAt: at().notNull(),
    idleExpiresAt: at().notNull(),
    expiresAt: at().notNull(),
    revokedAt: at(),
    revokeReason: text(),
    refreshGeneration: integer().notNull(),
    refreshHash: text().notNull(),
    refreshRotatedAt: at().notNull(),
    /** Keyed digest of the client that made the last rotation; null before the first one. */
    refreshClient: text(),
  },
  (t) => [
    index().on(t.accountId, t.revokedAt),
    index('sessions_ended').on(sql`coalesce(${t.revokedAt}, ${t.expiresAt})`),
  ],
);

/**
 * What a person can prove besides the first factor: authenticator app, backup codes, passkey, another verified channel. The
 * id is that of the factor flow, where enrolment is one. Secrets are sealed by the KMS, backup codes are keyed hashes.
 */
export const factors = pgTable(
  'factors',
  {
    id: uuid().primaryKey(),
    accountId: uuid()
      .notNull()
      .references(() => accounts.id),
    kind: text().notNull(),
    label: text(),
    state: text({ enum: ['pending', 'active', 'locked', 'disabled', 'replaced'] }).notNull(),
    /** Sealed under `factor|<id>`; gone once the factor has ended. */
    secretSealed: text(),
    publicKey: text(),
    /** How a credential names itself to its relying party (WebAuthn), base64url. */
    credentialId: text(),
    /** The proven address or number a code goes to. */
    contactId: uuid(),
    /** Last time step or counter that was used; it only grows. */
    lastStep: bigint({ mode: 'number' }),
    /** Keyed hashes of the single-use codes that are left. */
    codes: text().array().notNull().default(sql`'{}'`),
    /** What else its kind needs: time step, transports, backup flags. No secret. */
    details: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    createdAt: at().notNull(),
    confirmedAt: at(),
    lastUsedAt: at(),
    endedAt: at(),
  },
  (t) => [
    index('factors_of_account').on(t.accountId).where(sql`${t.endedAt} is null`),
    uniqueIndex('factors_credential').on(t.credentialId).where(sql`${t.endedAt} is null`),
    // A second one of these replaces the first.
    uniqueIndex('factors_one_each')
      .on(t.accountId, t.kind)
      .where(sql`${t.kind} in ('totp', 'backup_codes') and ${t.state} in ('active', 'locked')`),
  ],
);

export const devices = pgTable(
  'devices',
  {
    accountId: uuid()
      .notNull()
      .references(() => accounts.id),
    deviceId: text().notNull(),
    firstSeenAt: at().notNull(),
    lastSeenAt: at().notNull(),
    /** As its owner calls it. */
    name: text(),
    /** Spares its owner the PIN; never a second factor. */
    trusted: boolean().notNull().default(true),
  },
  (t) => [primaryKey({ columns: [t.accountId, t.deviceId] })],
);

/** A KYC submission. The number is sealed by the KMS; `numberHash` is keyed and unique among verified ones. */
export const kycRecords = pgTable(
  'kyc_records',
  {
    id: uuid().primaryKey(),
    accountId: uuid()
      .notNull()
      .references(() => accounts.id),
    flowId: uuid()
      .notNull()
      .references(() => flows.id),
    documentType: text({ enum: ['PAN', 'AADHAAR', 'PASSPORT'] }).notNull(),
    numberSealed: text().notNull(),
    numberHash: text().notNull(),
    numberLast4: text().notNull(),
    status: text({ enum: ['PENDING', 'VERIFIED', 'REJECTED', 'REVOKED'] }).notNull(),
    reason: text(),
    retryable: boolean(),
    submittedAt: at().notNull(),
    decidedAt: at(),
    decidedBy: text(),
  },
  (t) => [
    index().on(t.accountId, t.submittedAt),
    // Asked for each flow that is deleted.
    index().on(t.flowId),
    uniqueIndex('kyc_records_verified_number')
      .on(t.documentType, t.numberHash)
      .where(sql`${t.status} = 'VERIFIED'`),
    uniqueIndex('kyc_records_one_verified').on(t.accountId).where(sql`${t.status} = 'VERIFIED'`),
  ],
);

/**
 * A broker account that is linked, or was: its lifecycle is the flow's. Credentials are sealed under a data key of their
 * own, which the KMS has wrapped; without that key, as after the account is unlinked, they are noise.
 */
export const tradingAccounts = pgTable(
  'trading_accounts',
  {
    id: uuid().primaryKey(),
    ownerId: uuid().notNull(),
    flowId: uuid().notNull(),
    broker: text({ enum: ['kite', 'paper'] }).notNull(),
    brokerUserId: text().notNull(),
    accountName: text(),
    preferences: jsonb().$type<Record<string, unknown>>().notNull().default({}),
    /** All that is shown of the key. */
    apiKeyLast4: text(),
    /** Which data key of this account: each rotation makes a new one. */
    keyVersion: integer().notNull(),
    /** The master key that wraps the data key, by name and version. */
    wrappingKey: text(),
    wrappedKey: text(),
    keyCheck: text(),
    sealedFields: jsonb().$type<Record<string, string>>().notNull(),
    createdAt: at().notNull(),
    updatedAt: at().notNull(),
    unlinkedAt: at(),
  },
  (t) => [
    uniqueIndex('trading_accounts_linked_once')
      .on(t.ownerId, t.broker, t.brokerUserId)
      .where(sql`${t.unlinkedAt} is null`),
    index().on(t.ownerId, t.createdAt),
  ],
);

/** What another account may do with a trading account: offered, accepted, over. Nothing of it is decided by time alone. */
export const tradingShares = pgTable(
  'trading_shares',
  {
    id: uuid().primaryKey(),
    tradingAccountId: uuid()
      .notNull()
      .references(() => tradingAccounts.id),
    ownerId: uuid().notNull(),
    memberId: uuid().notNull(),
    access: text({ enum: ['view', 'trade', 'manage'] }).notNull(),
    status: text({ enum: ['invited', 'active', 'ended'] }).notNull(),
    invitedAt: at().notNull(),
    acceptedAt: at(),
    /** Of the invitation while it is one, then of the access; null: without end. */
    expiresAt: at(),
    /** The end that the access gets when it is accepted. */
    accessUntil: at(),
    endedAt: at(),
    endReason: text(),
  },
  (t) => [
    uniqueIndex('trading_shares_one_each')
      .on(t.tradingAccountId, t.memberId)
      .where(sql`${t.status} <> 'ended'`),
    index().on(t.memberId).where(sql`${t.status} <> 'ended'`),
    index().on(t.ownerId).where(sql`${t.status} <> 'ended'`),
    index().on(t.expiresAt).where(sql`${t.status} <> 'ended'`),
  ],
);

/** Ids of provider webhooks already taken, so that a repeated delivery changes nothing. */
export const webhookReceipts = pgTable(
  'webhook_receipts',
  {
    id: text().primaryKey(),
    receivedAt: at().notNull(),
  },
  (t) => [index().on(t.receivedAt)],
);

/** Append-only record of security events, written in the transaction of the change it describes. */
export const auditEvents = pgTable(
  'audit_events',
  {
    id: uuid().primaryKey(),
    at: at().notNull(),
    type: text().notNull(),
    outcome: text({ enum: ['success', 'failure'] }).notNull(),
    reason: text(),
    accountId: uuid(),
    actor: text().notNull(),
    flowId: uuid(),
    sessionId: uuid(),
    network: text(),
    userAgent: text(),
    requestId: text(),
    data: jsonb().$type<Record<string, unknown>>(),
  },
  (t) => [index().on(t.accountId, t.id)],
);

/** Effects that leave the process, delivered at least once, in order per account. Ids are `flow:version:index`, in byte order. */
export const outbox = pgTable(
  'outbox',
  {
    id: text().primaryKey(),
    topic: text().notNull(),
    accountId: uuid(),
    accountSeq: bigint({ mode: 'number' }),
    flowId: uuid(),
    payload: jsonb().$type<Record<string, unknown>>().notNull(),
    status: text({ enum: ['pending', 'done', 'dead'] }).notNull(),
    attempts: integer().notNull().default(0),
    dueAt: at().notNull(),
    leasedUntil: at(),
    lastError: text(),
    createdAt: at().notNull(),
    doneAt: at(),
  },
  (t) => [
    index('outbox_due').on(t.dueAt, t.accountSeq).where(sql`${t.status} = 'pending'`),
    index('outbox_heads').on(t.accountId, t.accountSeq).where(sql`${t.status} = 'pending'`),
    index('outbox_done').on(t.doneAt).where(sql`${t.status} = 'done'`),
    index('outbox_dead').on(t.flowId).where(sql`${t.status} = 'dead'`),
  ],
);

/** Durable failure counters: keys are keyed hashes, windows are fixed to their first failure. */
export const throttles = pgTable(
  'throttles',
  {
    key: text().primaryKey(),
    count: integer().notNull(),
    windowEndsAt: at().notNull(),
  },
  (t) => [index().on(t.windowEndsAt)],
);

/** Stored answers of requests that carried an Idempotency-Key; tokens in them are sealed or derived again. */
export const idempotencyRecords = pgTable(
  'idempotency_records',
  {
    key: text().primaryKey(),
    fingerprint: text().notNull(),
    status: integer(),
    answer: text(),
    /** Who holds the key: only this run may commit under it. Null once it has left a commit without an answer. */
    run: uuid(),
    /** Written by the commit that has the request's effect, and the steps it made. */
    committedAt: at(),
    steps: uuid().array(),
    createdAt: at().notNull(),
    expiresAt: at().notNull(),
  },
  (t) => [index().on(t.expiresAt)],
);

/** Who is signed in to the console; the key is a keyed digest of the cookie, bound to the admin token. */
export const consoleSessions = pgTable('console_sessions', {
  key: text().primaryKey(),
  expiresAt: at().notNull(),
});

/** JWT signing keys; the private half is sealed by the KMS. */
export const signingKeys = pgTable(
  'signing_keys',
  {
    kid: text().primaryKey(),
    alg: text().notNull(),
    status: text({ enum: ['next', 'active', 'retiring', 'retired'] }).notNull(),
    publicJwk: jsonb().$type<Record<string, unknown>>().notNull(),
    privateSealed: text().notNull(),
    createdAt: at().notNull(),
    changedAt: at().notNull(),
  },
  // One key signs and one waits, however many replicas start at once.
  (t) => [uniqueIndex('signing_keys_one_each').on(t.status).where(sql`${t.status} in ('active', 'next')`)],
);

/**
 * Counts for the funnel, kept by a job that follows `flow_steps`: per state, for the flows that started on a day (UTC).
 * It may lag behind and can be computed again from the steps; no decision rests on it.
 */
export const flowStats = pgTable(
  'flow_stats',
  {
    machine: text().notNull(),
    machineVersion: integer().notNull(),
    day: date({ mode: 'string' }).notNull(),
    state: text().notNull(),
    entered: integer().notNull(),
    exited: integer().notNull(),
    /** Flows that got at least as far as this state's milestone, each once. */
    reached: integer().notNull(),
    /** Flows that ended with this milestone as their last. */
    ended: integer().notNull(),
    /** Finished stays by length, in buckets that grow by the square root of two. */
    stays: integer().array().notNull(),
  },
  (t) => [primaryKey({ columns: [t.machine, t.day, t.machineVersion, t.state] })],
);

/** How far such a job has read; its row lock keeps other replicas out. */
export const flowStatsCursor = pgTable('flow_stats_cursor', {
  name: text().primaryKey(),
  /** The last step taken. */
  stepId: uuid().notNull(),
  caughtUpAt: at(),
});
