/** Reads who stands behind a contact, with what a proof needs beside it, in one round trip. Writes nothing. */

import type { Database } from './client.ts';
import { and, eq, sql } from './drizzle.ts';
import { accounts, contacts, credentials, devices, profiles, throttles } from './schema.ts';

export type AccountStore = ReturnType<typeof createAccountStore>;
export type LoadedOwner = NonNullable<Awaited<ReturnType<AccountStore['byContact']>>>;

export function createAccountStore(db: Database) {
  const columns = {
    contact: {
      id: contacts.id,
      type: contacts.type,
      canonical: contacts.canonical,
      accountId: contacts.accountId,
      verifiedAt: contacts.verifiedAt,
    },
    account: {
      id: accounts.id,
      status: accounts.status,
      tier: accounts.tier,
      eventSeq: accounts.eventSeq,
      roles: accounts.roles,
    },
    // drizzle takes a joined row for absent when its first column is null: a key comes first.
    credential: {
      accountId: credentials.accountId,
      passwordHash: credentials.passwordHash,
      pinHash: credentials.pinHash,
      passwordVersion: credentials.passwordVersion,
    },
    device: { deviceId: devices.deviceId },
    name: sql<
      string | null
    >`coalesce(${profiles.displayName}, nullif(concat_ws(' ', ${profiles.firstName}, ${profiles.lastName}), ''))`,
    signupFlowId: sql<string | null>`(
      select s.id from flows s where s.account_id = accounts.id and s.machine = 'signup' and s.status = 'active'
      order by s.created_at desc limit 1)`,
    /** Durable failure counters that concern a login, as `{key: count}`, expired windows left out. */
    failures: sql<Record<string, number>>`(
      select coalesce(jsonb_object_agg(t.key, t.count), '{}'::jsonb) from ${throttles} t
      where t.key in ('login:' || contacts.id, 'password:' || accounts.id, 'pin:' || accounts.id)
        and t.window_ends_at > ${sql.placeholder('now')}::timestamptz)`,
  };
  const from = () =>
    db.reads
      .select(columns)
      .from(contacts)
      .innerJoin(accounts, eq(accounts.id, contacts.accountId))
      .leftJoin(credentials, eq(credentials.accountId, accounts.id))
      .leftJoin(profiles, eq(profiles.accountId, accounts.id))
      .leftJoin(
        devices,
        and(eq(devices.accountId, accounts.id), eq(devices.deviceId, sql.placeholder('deviceId'))),
      );
  const byContact = from()
    .where(eq(contacts.id, sql.placeholder('contactId')))
    .prepare('owner_by_contact');

  return {
    /** The account that owns the contact, or undefined. `deviceId` decides whether it knows the caller's device. */
    async byContact(contactId: string, context: { deviceId: string | null; now: Date }) {
      const rows = await byContact.execute({
        contactId,
        deviceId: context.deviceId ?? '',
        now: context.now.toISOString(),
      });
      return rows[0];
    },
  };
}
