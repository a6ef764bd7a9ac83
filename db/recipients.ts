/** Reads who a mail goes to and what it may say, when it is sent: addresses always come from here, never from a request. */

import type { Database } from './client.ts';
import { ownAddress } from './decided-on.ts';
import { sql } from './driver/drizzle.ts';

export type Recipient = {
  contactId: string;
  type: 'phone' | 'email';
  value: string;
  canonical: string;
  accountId: string | null;
  name: string | null;
  /** Of the owner's profile, else of the given account's. */
  locale: string | null;
  timezone: string | null;
  /** Its owner is still signing up: whoever proves the contact again goes on there. */
  signupUnderWay: boolean;
  /** Where the account gets its mail: its own proven address, whatever the contact is. */
  accountEmail: { value: string; canonical: string } | null;
};

/** What an SMS needs. */
export type BriefRecipient = Pick<Recipient, 'type' | 'canonical' | 'locale' | 'timezone'>;

export type LoginPlace = {
  at: Date;
  network: string | null;
  country: string | null;
  /** Without a device id: whether the account was used from the same place before. */
  familiar: boolean;
};

export function createRecipients(db: Database) {
  return {
    async byContact(contactId: string, accountId: string | null): Promise<Recipient | null> {
      const rows = await db.reads.execute<Recipient>(sql`
        select c.id as "contactId", c.type, c.value, c.canonical, c.account_id as "accountId",
          coalesce(p.display_name, p.first_name) as name,
          coalesce(p.locale, f.locale) as locale, coalesce(p.timezone, f.timezone) as timezone,
          exists (select 1 from accounts a join flows s on s.account_id = a.id where a.id = c.account_id
            and a.tier = 'UNVERIFIED' and s.machine = 'signup' and s.status = 'active') as "signupUnderWay",
          (${ownAddress(`jsonb_build_object('value', e.value, 'canonical', e.canonical)`, sql`c.account_id`)}) as "accountEmail"
        from contacts c left join profiles p on p.account_id = c.account_id
          left join profiles f on f.account_id = ${accountId}::uuid
        where c.id = ${contactId}::uuid`);
      return rows[0] ?? null;
    },

    async brief(contactId: string): Promise<BriefRecipient | null> {
      const rows = await db.reads.execute<BriefRecipient>(sql`
        select c.type, c.canonical, p.locale, p.timezone
        from contacts c left join profiles p on p.account_id = c.account_id
        where c.id = ${contactId}::uuid`);
      return rows[0] ?? null;
    },

    /** Where the session that a login flow opened was used from. */
    async loginPlace(accountId: string, flowId: string): Promise<LoginPlace | null> {
      const rows = await db.reads.execute<{
        at: string;
        network: string | null;
        country: string | null;
        familiar: boolean;
      }>(sql`
        select s.created_at as at, s.network, s.country,
          s.device_id is null and exists (select 1 from sessions o where o.account_id = s.account_id
            and o.created_at < s.created_at and o.network is not distinct from s.network
            and o.user_agent is not distinct from s.user_agent) as familiar
        from sessions s where s.account_id = ${accountId}::uuid and s.flow_id = ${flowId}::uuid limit 1`);
      const row = rows[0];
      return row ? { ...row, at: new Date(row.at) } : null;
    },
  };
}
export type Recipients = ReturnType<typeof createRecipients>;
