/** What a login by passkey is decided on, in one read: the account behind a credential that is in use. */
import type { Database } from './client.ts';
import { callersDevice, decidedOn, device, mailContactId } from './decided-on.ts';
import { and, eq, isNull, sql } from './driver/drizzle.ts';
import { accounts, credentials, devices, factors } from './schema.ts';

export type PasskeyLogin = Awaited<ReturnType<PasskeyLoginStore['read']>> & object;
export type PasskeyLoginStore = ReturnType<typeof createPasskeyLogins>;

export function createPasskeyLogins(db: Database) {
  const query = db.reads
    .select({
      ...decidedOn,
      device,
      mailContactId,
    })
    .from(factors)
    .innerJoin(accounts, eq(accounts.id, factors.accountId))
    .leftJoin(credentials, eq(credentials.accountId, accounts.id))
    .leftJoin(devices, callersDevice)
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
