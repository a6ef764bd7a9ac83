/** What every login and every flow is decided on about its account: the same columns, however a query has found `accounts`. */
import { and, eq, type SQL, sql } from './driver/drizzle.ts';
import { factorsOf } from './factors.ts';
import { accounts, credentials, devices } from './schema.ts';
import { openSessionsOf } from './session-limit.ts';

/** The account's sign-up under way, the newest one. */
export const signupOf = (accountId: SQL): SQL<string | null> => sql<string | null>`(
  select s.id from flows s where s.account_id = ${accountId} and s.machine = 'signup' and s.status = 'active'
  order by s.created_at desc limit 1)`;

/** A select of `what` about `e`, the proven address where the account gets its mail. */
export const ownAddress = (what: string, accountId: SQL = sql`${accounts.id}`): SQL => sql`
  select ${sql.raw(what)} from contacts e where e.account_id = ${accountId} and e.type = 'email'
    and e.verified_at is not null order by e.is_primary desc, e.created_at limit 1`;

export const decidedOn = {
  account: {
    id: accounts.id,
    status: accounts.status,
    tier: accounts.tier,
    eventSeq: accounts.eventSeq,
    openSessions: openSessionsOf(accounts.id),
    roles: accounts.roles,
  },
  // drizzle takes a joined row for absent when its first column is null: a key comes first.
  credential: {
    accountId: credentials.accountId,
    passwordHash: credentials.passwordHash,
    pinHash: credentials.pinHash,
    passwordVersion: credentials.passwordVersion,
    passwordRestored: sql<boolean>`${credentials.passwordRestoredAt} is not null`,
  },
  /** What may answer L4, with the failures of each. */
  factors: factorsOf(sql`${accounts.id}`, sql`${sql.placeholder('now')}`),
  /** Where an unfinished sign-up continues. */
  signupFlowId: signupOf(sql`${accounts.id}`),
};

/** For notices. */
export const mailContactId = sql<string | null>`(${ownAddress('e.id')})`;

export const device = { deviceId: devices.deviceId, trusted: devices.trusted };
/** Joins the device of the caller, if the account knows it. */
export const callersDevice = and(
  eq(devices.accountId, accounts.id),
  eq(devices.deviceId, sql.placeholder('deviceId')),
);
