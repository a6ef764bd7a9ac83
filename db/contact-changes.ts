/** What a change of an account's contacts is judged on, and what it ends beside sessions. */
import type { Database } from './client.ts';
import { sql } from './driver/drizzle.ts';
import { fragment, type WriteFragment } from './write/fragment.ts';

export type OwnContact = {
  id: string;
  type: 'phone' | 'email';
  /** Added so lately that it may be what somebody who broke in has added. */
  recent: boolean;
};

/** Proven contacts of the account, first choices first. `since`: what was added after it is recent. */
export const provenContacts = async (db: Database, accountId: string, since: Date): Promise<OwnContact[]> => [
  ...(await db.reads.execute<OwnContact>(sql`
    select c.id, c.type, exists (
      select 1 from flows f where f.contact_id = c.id and f.machine = 'contact_change' and f.purpose = 'added'
        and f.account_id = c.account_id and f.created_at > ${since.toISOString()}::timestamptz) as recent
    from contacts c where c.account_id = ${accountId}::uuid and c.verified_at is not null
    order by c.is_primary desc, c.created_at, c.id`)),
];

/** How things stand with what a change came from: is it to be had, and what else has the account? */
export async function undoFacts(
  db: Database,
  { accountId, contactId, previousId }: { accountId: string; contactId: string; previousId: string | null },
): Promise<{ previousFree: boolean; othersLeft: number }> {
  const [row] = await db.reads.execute<{ previousFree: boolean; othersLeft: number }>(sql`
    select exists (select 1 from contacts p where p.id = ${previousId}::uuid
        and (p.account_id is null or p.account_id = ${accountId}::uuid)) as "previousFree",
      (select count(*)::int from contacts o where o.account_id = ${accountId}::uuid
        and o.verified_at is not null and o.id <> ${contactId}::uuid) as "othersLeft"`);
  if (!row) throw new Error('a select without a table answers with one row');
  return row;
}

/** Password resets and logins under way of the account that this contact has begun. */
export const endProofs = (contactId: string, accountId: string): WriteFragment =>
  fragment(
    `update flows set status = 'archived' where contact_id = ? and account_id = ?
       and machine in ('recovery', 'login') and status = 'active'`,
    [contactId, accountId],
  );

/**
 * Codes sent to a contact of the account, codes for a contact it was about to add, and its logins under way. A change
 * of contacts that is done stays: the link that undoes it belongs to the owner, who may have lost the mailbox of the reset.
 */
export const cancelPendingFlows = (accountId: string): WriteFragment =>
  fragment(
    `update flows set status = 'archived' where machine in ('challenge', 'login') and status = 'active' and id in (
       select f.id from flows f where f.account_id = ? and f.status = 'active'
       union all
       select f.id from flows f join contacts c on c.id = f.contact_id where c.account_id = ? and f.status = 'active')`,
    [accountId, accountId],
  );
