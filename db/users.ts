/** Reads and writes of plain account data: profile fields, preferences, soft deletion, erasure. */

import type { Database } from './client.ts';
import { counterKeySql } from './counter-keys.ts';
import { and, eq, inArray, sql } from './driver/drizzle.ts';
import { accounts, contacts, credentials, profiles } from './schema.ts';
import { fragment, type WriteFragment } from './write/fragment.ts';

export type ProfileChange = {
  displayName?: string;
  timezone?: string;
  locale?: string;
  avatarUrl?: string | null;
};

const COLUMNS = {
  displayName: 'display_name',
  timezone: 'timezone',
  locale: 'locale',
  avatarUrl: 'avatar_url',
} as const;

/** Sets the given fields and leaves the others. */
export function changeProfile(accountId: string, change: ProfileChange): WriteFragment {
  const keys = (Object.keys(COLUMNS) as (keyof ProfileChange)[]).filter((key) => change[key] !== undefined);
  const names = keys.map((key) => COLUMNS[key]);
  return fragment(
    `insert into profiles (account_id, ${names.join(', ')}) values (?, ${names.map(() => '?').join(', ')})
     on conflict (account_id) do update set ${names.map((n) => `${n} = excluded.${n}`).join(', ')}`,
    [accountId, ...keys.map((key) => change[key] ?? null)],
  );
}

export const replacePreferences = (accountId: string, preferences: Record<string, unknown>): WriteFragment =>
  fragment(
    `insert into profiles (account_id, preferences) values (?, ?::jsonb)
     on conflict (account_id) do update set preferences = excluded.preferences`,
    [accountId, JSON.stringify(preferences)],
  );

/** Sets the password only if it is still the one that was checked, however it is hashed by now. */
export const changePassword = (accountId: string, hash: string, checked: number, now: Date): WriteFragment =>
  fragment(
    `update credentials set password_hash = ?, password_changed_at = ?::timestamptz, password_restored_at = null,
       password_version = password_version + 1
     where account_id = ? and password_version = ?`,
    [hash, now.toISOString(), accountId, checked],
    1,
  );

/** In this order: a contact goes after the flows that name it. */
const ERASE = [
  'update flows set contact_id = null where contact_id in (select id from contacts where account_id = $1)',
  'delete from contacts where account_id = $1',
  'delete from profiles where account_id = $1',
  'delete from credentials where account_id = $1',
  'delete from factors where account_id = $1',
  'delete from devices where account_id = $1',
  'update sessions set user_agent = null, network = null, country = null, device_id = null where account_id = $1',
  "update kyc_records set number_sealed = '', number_last4 = '' where account_id = $1",
  "update trading_accounts set broker_user_id = '', account_name = null, preferences = '{}' where owner_id = $1",
  'update audit_events set network = null, user_agent = null where account_id = $1',
  'update accounts set username = null where id = $1',
];

export type UserStore = ReturnType<typeof createUserStore>;

export function createUserStore(db: Database) {
  return {
    /** What a password check of a signed-in person needs. */
    async secretsOf(accountId: string, now: Date) {
      const [row] = await db.reads
        .select({
          eventSeq: accounts.eventSeq,
          passwordHash: credentials.passwordHash,
          passwordVersion: sql<number>`coalesce(${credentials.passwordVersion}, 0)`,
          failures: sql<number>`coalesce((select t.count from throttles t where t.key = ${counterKeySql.password(sql`accounts.id`)}
            and t.window_ends_at > ${now.toISOString()}::timestamptz), 0)`,
        })
        .from(accounts)
        .leftJoin(credentials, eq(credentials.accountId, accounts.id))
        .where(eq(accounts.id, accountId));
      return row;
    },

    /** An account that is active, with its place in its own order. */
    activeAccount: async (accountId: string) =>
      (
        await db.reads
          .select({ id: accounts.id, eventSeq: accounts.eventSeq })
          .from(accounts)
          .where(and(eq(accounts.id, accountId), eq(accounts.status, 'active')))
      )[0],

    contactsOf: (accountId: string) =>
      db.reads
        .select()
        .from(contacts)
        .where(eq(contacts.accountId, accountId))
        .orderBy(sql`${contacts.isPrimary} desc`, contacts.createdAt),

    /** What the person is known by: every contact, every name. No password may hold any of it. */
    async identityOf(accountId: string): Promise<string[]> {
      const [row] = await db.reads
        .select({
          known: sql<(string | null)[]>`jsonb_build_array(${accounts.username}, ${profiles.displayName},
              ${profiles.firstName}, ${profiles.lastName})
            || coalesce((select jsonb_agg(c.canonical) from contacts c where c.account_id = ${accounts.id}), '[]')`,
        })
        .from(accounts)
        .leftJoin(profiles, eq(profiles.accountId, accounts.id))
        .where(eq(accounts.id, accountId));
      if (!row) throw new Error('the account whose names are asked for is gone');
      return row.known.filter((one) => one !== null);
    },

    async preferencesOf(accountId: string): Promise<Record<string, unknown>> {
      const [row] = await db.reads
        .select({ preferences: profiles.preferences })
        .from(profiles)
        .where(eq(profiles.accountId, accountId));
      return row?.preferences ?? {};
    },

    /** The account as its owner knows it, with the address it is written to. */
    async person(accountId: string) {
      const [row] = await db.reads
        .select({
          id: accounts.id,
          status: accounts.status,
          username: accounts.username,
          roles: accounts.roles,
          createdAt: accounts.createdAt,
          updatedAt: accounts.updatedAt,
          name: sql<
            string | null
          >`coalesce(${profiles.displayName}, nullif(concat_ws(' ', ${profiles.firstName}, ${profiles.lastName}), ''))`,
          email: sql<string | null>`(select c.value from ${contacts} c where c.account_id = ${accounts.id}
            and c.type = 'email' order by c.is_primary desc, c.created_at limit 1)`,
        })
        .from(accounts)
        .leftJoin(profiles, eq(profiles.accountId, accounts.id))
        .where(eq(accounts.id, accountId));
      return row;
    },

    /** What anybody signed in may see of an active account; undefined for every other one. */
    async publicProfile(accountId: string) {
      const [row] = await db.reads
        .select({
          id: accounts.id,
          status: accounts.status,
          createdAt: accounts.createdAt,
          displayName: profiles.displayName,
          firstName: profiles.firstName,
          avatarUrl: profiles.avatarUrl,
        })
        .from(accounts)
        .leftJoin(profiles, eq(profiles.accountId, accounts.id))
        .where(and(eq(accounts.id, accountId), inArray(accounts.status, ['active'])));
      return row;
    },

    /** Accounts deleted before `until` whose personal data still exists. */
    async toErase(until: Date): Promise<string[]> {
      const rows = await db.reads
        .select({ id: accounts.id })
        .from(accounts)
        .where(
          and(
            eq(accounts.status, 'deleted'),
            sql`${accounts.deletedAt} <= ${until.toISOString()}::timestamptz`,
            sql`exists (select 1 from credentials c where c.account_id = ${accounts.id}
                union all select 1 from profiles p where p.account_id = ${accounts.id}
                union all select 1 from contacts k where k.account_id = ${accounts.id})`,
          ),
        )
        .limit(20);
      return rows.map((row) => row.id);
    },

    /**
     * Erases what identifies the person; ids, states and the audit trail stay as a pseudonym. The contact rows go, so
     * that the identifiers are free again for a new account.
     */
    erase: (accountId: string): Promise<void> =>
      db.transaction(async (tx) => {
        for (const statement of ERASE) await tx.unsafe(statement, [accountId]);
      }),
  };
}
