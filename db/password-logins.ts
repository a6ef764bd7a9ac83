/** What a password login is decided on, in one read, and the count of failed ones. Known and unknown cost the same. */

import type { Database } from './client.ts';
import type { AuditRow } from './commit.ts';
import { counterKeySql } from './counter-keys.ts';
import { callersDevice, decidedOn, ownAddress } from './decided-on.ts';
import { sql } from './driver/drizzle.ts';
import { accounts, auditEvents, contacts, credentials, devices, profiles, throttles } from './schema.ts';
import type { Window } from './throttles.ts';
import { insert } from './write/fragment.ts';

/** Failures in the running window, and when it ends (milliseconds); zero without one. */
export type Throttle = { count: number; endsAt: number };
export type PasswordLogin = Awaited<ReturnType<PasswordLoginStore['read']>>;
export type PasswordLoginStore = ReturnType<typeof createPasswordLogins>;

/**
 * Failures count against the owner of the identifier, so that a phone and an address do not give one account two
 * budgets; an identifier without an owner counts for itself.
 */
const subject = sql<string>`coalesce(${contacts.accountId}, asked.id)`;

const throttle = (alias: string) => ({
  count: sql<number>`coalesce(${sql.raw(alias)}.count, 0)::int`,
  endsAt: sql<number>`coalesce(extract(epoch from ${sql.raw(alias)}.window_ends_at) * 1000, 0)::float8`,
});

/** The next wait doubles each time the window was full within a day, six times at most. */
const MAX_DOUBLINGS = 6;
const DAY_MS = 86_400_000;

export function createPasswordLogins(db: Database) {
  // One row whether or not anybody owns the contact. An address that still waits for its code finds its newest account.
  const query = db.reads
    .select({
      contactType: contacts.type,
      canonical: contacts.canonical,
      subjectId: subject,
      contactProven: sql<boolean>`${contacts.accountId} is not null`,
      ...decidedOn,
      knownDevice: sql<boolean>`${devices.deviceId} is not null`,
      trustedDevice: sql<boolean>`coalesce(${devices.trusted}, true)`,
      name: sql<
        string | null
      >`coalesce(${profiles.displayName}, nullif(concat_ws(' ', ${profiles.firstName}, ${profiles.lastName}), ''))`,
      email: sql<string | null>`mine.value`,
      mailContactId: sql<string | null>`mine.id`,
      ofAll: throttle('shared'),
      ofDevice: throttle('own'),
    })
    .from(sql`(select ${sql.placeholder('contactId')}::uuid as id) asked`)
    .leftJoin(contacts, sql`${contacts.id} = asked.id`)
    .leftJoin(
      accounts,
      sql`${accounts.id} = coalesce(${contacts.accountId}, (
        select f.account_id from flows f where f.contact_id = asked.id and f.machine = 'signup' and f.status = 'active'
          and f.account_id is not null order by f.created_at desc limit 1))`,
    )
    .leftJoin(credentials, sql`${credentials.accountId} = ${accounts.id}`)
    .leftJoin(profiles, sql`${profiles.accountId} = ${accounts.id}`)
    .leftJoin(devices, callersDevice)
    .leftJoin(sql`lateral (${ownAddress('e.id, e.value')}) mine`, sql`true`)
    .leftJoin(
      sql`${throttles} shared`,
      sql`shared.key = ${counterKeySql.login(subject)} and shared.window_ends_at > ${sql.placeholder('now')}::timestamptz`,
    )
    .leftJoin(
      sql`${throttles} own`,
      sql`own.key = ${counterKeySql.loginOfDevice(subject, sql`${sql.placeholder('deviceId')}`)} and own.window_ends_at > ${sql.placeholder('now')}::timestamptz`,
    )
    .prepare('password_login');

  return {
    /** A device the account knows has failures of its own, so that nobody can lock its owner out from elsewhere. */
    async read(asked: { contactId: string; deviceId: string | null; now: number }) {
      const [row] = await query.execute({
        contactId: asked.contactId,
        deviceId: asked.deviceId,
        now: new Date(asked.now).toISOString(),
      });
      if (!row) throw new Error('a login reads one row');
      const { ofAll, ofDevice, ...read } = row;
      const account = row.account as typeof row.account | null;
      return {
        ...read,
        account: account?.id ? account : null,
        deviceId: read.knownDevice ? asked.deviceId : null,
        throttle: (read.knownDevice ? ofDevice : ofAll) as Throttle,
      };
    },

    /** One more failure, counted and recorded in one statement; answers with what the window holds now. */
    async fail([window, full]: Window[], record: AuditRow, now: number): Promise<Throttle> {
      if (!window || !full) throw new Error('a failed login is counted in two windows');
      const audit = insert(auditEvents, [record]);
      const at = new Date(now).toISOString();
      let n = 8;
      const auditSql = audit.sql.replace(/\?/g, () => `$${++n}`);
      const next = 'case when t.window_ends_at <= $3::timestamptz then 1 else t.count + 1 end';
      const rows = await db.writes.unsafe(
        `with waits as (
           select least(count, ${MAX_DOUBLINGS}) as doublings from throttles where key = $2 and window_ends_at > $3::timestamptz),
         counted as (
           insert into throttles as t (key, count, window_ends_at) values ($1, 1, $4::timestamptz)
           on conflict (key) do update set count = ${next},
             window_ends_at = case
               when ${next} = $5::int then
                 $3::timestamptz + $6::float8 * interval '1 millisecond' * power(2, coalesce((select doublings from waits), 0))
               when t.window_ends_at <= $3::timestamptz then excluded.window_ends_at
               else t.window_ends_at end
           returning count, window_ends_at),
         filled as (
           insert into throttles as t (key, count, window_ends_at)
             select $2, 1, $7::timestamptz from counted where count = $8::int
           on conflict (key) do update set count = ${next}, window_ends_at = excluded.window_ends_at),
         recorded as (${auditSql})
         select count, extract(epoch from window_ends_at) * 1000 as "endsAt" from counted`,
        [
          window.key,
          full.key,
          at,
          new Date(now + window.windowMs).toISOString(),
          window.limit,
          window.windowMs,
          new Date(now + DAY_MS).toISOString(),
          window.limit,
          ...audit.params,
        ] as never[],
        { prepare: true },
      );
      return { count: Number(rows[0]?.count), endsAt: Number(rows[0]?.endsAt) };
    },
  };
}
