/** Sessions and their refresh family. A session is live only while its row says so: no token speaks for itself. */

import type { Database, Reader } from './client.ts';
import { and, desc, eq, gt, isNull, sql } from './driver/drizzle.ts';
import { ending } from './ended-sessions.ts';
import { hasSecondFactor } from './factors.ts';
import { accounts, contacts, credentials, profiles, sessions } from './schema.ts';
import { fragment, insert, type WriteFragment } from './write/fragment.ts';

export type NewSession = typeof sessions.$inferInsert;

export const open = (session: NewSession): WriteFragment => insert(sessions, [session]);

/** Ends every live session of the account, or all but one. */
export const endAll = (accountId: string, reason: string, now: Date, except?: string): WriteFragment =>
  ending(
    `update sessions set revoked_at = ?::timestamptz, revoke_reason = ?
     where account_id = ? and revoked_at is null and id is distinct from ?::uuid`,
    [now.toISOString(), reason, accountId, except ?? null],
  );

/** Ends these sessions; stale when one of them has ended meanwhile. */
export const end = (ids: string[], reason: string, now: Date): WriteFragment =>
  fragment(
    `update sessions set revoked_at = ?::timestamptz, revoke_reason = ?
     where id in (${ids.map(() => '?').join(', ')}) and revoked_at is null`,
    [now.toISOString(), reason, ...ids],
    ids.length,
  );

/** What was proven in them before counts as one factor from now on. */
export const downgrade = (accountId: string, now: Date, except: string | null): WriteFragment =>
  fragment(
    `update sessions set acr = 'aal1', amr = array_remove(amr, 'mfa'), downgraded_at = ?::timestamptz
     where account_id = ? and revoked_at is null and id is distinct from ?::uuid`,
    [now.toISOString(), accountId, except],
  );

export const rememberDevice = (accountId: string, deviceId: string, now: Date): WriteFragment =>
  fragment(
    `insert into devices (account_id, device_id, first_seen_at, last_seen_at) values (?, ?, ?::timestamptz, ?::timestamptz)
     on conflict (account_id, device_id) do update set last_seen_at = excluded.last_seen_at`,
    [accountId, deviceId, now.toISOString(), now.toISOString()],
  );

export type LiveSession = NonNullable<Awaited<ReturnType<ReturnType<typeof createSessionStore>['live']>>>;

/** Under the account's row lock: nothing opens or ends a session of it until the transaction is over. */
export async function lockLive(reader: Reader, accountId: string, now: Date) {
  const [account] = await reader
    .select({ eventSeq: accounts.eventSeq })
    .from(accounts)
    .where(eq(accounts.id, accountId))
    .for('no key update');
  if (!account) throw new Error('sessions are locked with their account, which is gone');
  const ids = await reader
    .select({ id: sessions.id })
    .from(sessions)
    .where(liveOf(accountId, now))
    .orderBy(sessions.createdAt);
  return { eventSeq: account.eventSeq, ids: ids.map(({ id }) => id) };
}

const liveOf = (accountId: unknown, now: unknown) =>
  and(
    eq(sessions.accountId, accountId as string),
    isNull(sessions.revokedAt),
    gt(sessions.expiresAt, now as Date),
    gt(sessions.idleExpiresAt, now as Date),
  );

export function createSessionStore(db: Database) {
  const contact = (type: 'phone' | 'email') => sql<{ value: string; verified: boolean } | null>`(
    select jsonb_build_object('value', c.value, 'verified', c.verified_at is not null) from ${contacts} c
    where c.account_id = ${accounts.id} and c.type = ${sql.raw(`'${type}'`)}
    order by c.is_primary desc, c.created_at limit 1)`;
  const live = db.reads
    .select({
      session: {
        id: sessions.id,
        accountId: sessions.accountId,
        deviceId: sessions.deviceId,
        acr: sessions.acr,
        amr: sessions.amr,
        scope: sessions.scope,
        authTime: sessions.authTime,
        downgradedAt: sessions.downgradedAt,
        persistent: sessions.persistent,
        revokedAt: sessions.revokedAt,
        idleExpiresAt: sessions.idleExpiresAt,
        expiresAt: sessions.expiresAt,
        lastActiveAt: sessions.lastActiveAt,
      },
      account: {
        id: accounts.id,
        status: accounts.status,
        tier: accounts.tier,
        eventSeq: accounts.eventSeq,
        roles: accounts.roles,
        createdAt: accounts.createdAt,
        lastLoginAt: accounts.lastLoginAt,
      },
      // drizzle takes a joined row for absent when its first column is null: a key comes first.
      profile: {
        accountId: profiles.accountId,
        displayName: profiles.displayName,
        firstName: profiles.firstName,
        lastName: profiles.lastName,
        birthDate: profiles.birthDate,
        timezone: profiles.timezone,
        locale: profiles.locale,
        avatarUrl: profiles.avatarUrl,
        completedAt: profiles.completedAt,
      },
      mfa: hasSecondFactor(sql`${accounts.id}`),
      pinSet: sql<boolean>`${credentials.pinHash} is not null`,
      phone: contact('phone'),
      email: contact('email'),
    })
    .from(sessions)
    .innerJoin(accounts, eq(accounts.id, sessions.accountId))
    .leftJoin(profiles, eq(profiles.accountId, accounts.id))
    .leftJoin(credentials, eq(credentials.accountId, accounts.id))
    .where(eq(sessions.id, sql.placeholder('id')))
    .prepare('session_live');

  return {
    /** The session with the account behind it, in one round trip; null when it is over or the account is not active. */
    async live(id: string, now: Date) {
      const [row] = await live.execute({ id });
      if (!row || row.session.revokedAt || row.account.status !== 'active') return null;
      if (row.session.expiresAt <= now || row.session.idleExpiresAt <= now) return null;
      return row;
    },

    /** Sessions of the account that still live, most recently used first. */
    list: (accountId: string, now: Date) =>
      db.reads
        .select({
          id: sessions.id,
          deviceId: sessions.deviceId,
          userAgent: sessions.userAgent,
          network: sessions.network,
          country: sessions.country,
          createdAt: sessions.createdAt,
          lastActiveAt: sessions.lastActiveAt,
          expiresAt: sessions.expiresAt,
        })
        .from(sessions)
        .where(liveOf(accountId, now))
        .orderBy(desc(sessions.lastActiveAt), desc(sessions.id))
        .limit(1000),

    /** Notes use, never backwards. Convenience only: nothing waits for it. */
    touch: async (ids: string[], now: Date): Promise<void> => {
      const at = now.toISOString();
      await db.writes.unsafe(
        `update sessions set last_active_at = $1::timestamptz
         where id in (select jsonb_array_elements_text($2::jsonb)::uuid)
           and revoked_at is null and last_active_at < $1::timestamptz`,
        [at, JSON.stringify(ids)],
        { prepare: true },
      );
    },
  };
}
