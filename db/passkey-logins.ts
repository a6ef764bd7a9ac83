/** What a login by passkey is decided on, in one read: the account behind a credential that is in use. */
import type { Database } from './client.ts';
import { and, eq, isNull, sql } from './driver/drizzle.ts';
import { factorsOf } from './factors.ts';
import { accounts, credentials, devices, factors } from './schema.ts';
import { openSessionsOf } from './session-limit.ts';

export type PasskeyLogin = Awaited<ReturnType<PasskeyLoginStore['read']>> & object;
export type PasskeyLoginStore = ReturnType<typeof createPasskeyLogins>;

export function createPasskeyLogins(db: Database) {
  const query = db.reads
    .select({
      account: {
        id: accounts.id,
        status: accounts.status,
        tier: accounts.tier,
        eventSeq: accounts.eventSeq,
        openSessions: openSessionsOf(accounts.id),
        roles: accounts.roles,
      },
      credential: {
        accountId: credentials.accountId,
        passwordHash: credentials.passwordHash,
        pinHash: credentials.pinHash,
        passwordVersion: credentials.passwordVersion,
        passwordRestored: sql<boolean>`${credentials.passwordRestoredAt} is not null`,
      },
      factors: factorsOf(sql`${accounts.id}`, sql`${sql.placeholder('now')}`),
      device: { deviceId: devices.deviceId, trusted: devices.trusted },
      mailContactId: sql<string | null>`(
        select e.id from contacts e where e.account_id = ${accounts.id} and e.type = 'email'
          and e.verified_at is not null order by e.is_primary desc, e.created_at limit 1)`,
      signupFlowId: sql<string | null>`(
        select s.id from flows s where s.account_id = ${accounts.id} and s.machine = 'signup' and s.status = 'active'
        order by s.created_at desc limit 1)`,
    })
    .from(factors)
    .innerJoin(accounts, eq(accounts.id, factors.accountId))
    .leftJoin(credentials, eq(credentials.accountId, accounts.id))
    .leftJoin(
      devices,
      and(eq(devices.accountId, accounts.id), eq(devices.deviceId, sql.placeholder('deviceId'))),
    )
    .where(
      and(
        eq(factors.credentialId, sql.placeholder('credentialId')),
        eq(factors.state, 'active'),
        isNull(factors.endedAt),
      ),
    )
    .prepare('passkey_login');

  return {
    async read(asked: { credentialId: string; deviceId: string | null; now: number }) {
      const [row] = await query.execute({
        credentialId: asked.credentialId,
        deviceId: asked.deviceId ?? '',
        now: new Date(asked.now).toISOString(),
      });
      return row ?? null;
    },
  };
}
