/** Writes of contact points: interned once, owned by at most one account, and only after proof. */

import type { Database } from './client.ts';
import { eq, sql } from './drizzle.ts';
import { contacts } from './schema.ts';
import { insert, type Part, part, update } from './statement.ts';

export type ContactPoint = { id: string; type: 'phone' | 'email'; canonical: string; value: string };

/** Makes sure the row exists; says nothing about who owns it. */
export const intern = (contact: ContactPoint, now: Date): Part =>
  insert(contacts, [{ ...contact, createdAt: now }], { onConflict: 'nothing' });

/** Gives a free contact to the account that proved it; stale when somebody else has it by now. */
export const claim = (contactId: string, accountId: string, now: Date): Part =>
  update(
    contacts,
    { accountId, verifiedAt: now },
    { sql: 'id = ? and (account_id is null or account_id = ?)', params: [contactId, accountId] },
    { must: 1 },
  );

/** Frees what a sign-up claimed that ended before it had an account to speak of. */
export const release = (accountId: string): Part =>
  part('update contacts set account_id = null, verified_at = null where account_id = ?', [accountId]);

/** Other contacts of the account and type are no longer the first choice. */
export const demoteOthers = (contactId: string, accountId: string): Part =>
  part(
    `update contacts set is_primary = false
     where account_id = ? and id <> ? and type = (select type from contacts where id = ?)`,
    [accountId, contactId, contactId],
  );

/** Takes a contact from its account, unless it is the last proven one. */
export const removeOne = (contactId: string, accountId: string): Part =>
  part(
    `update contacts set account_id = null, verified_at = null, is_primary = true
     where id = ? and account_id = ? and exists (
       select 1 from contacts other where other.account_id = ? and other.id <> ? and other.verified_at is not null)`,
    [contactId, accountId, accountId, contactId],
    1,
  );

/** Frees a reserved demo contact and archives what it owned, so that the demo can be run again. */
export const archive = (contactId: string, now: Date): Part[] => {
  const owner = '(select account_id from contacts where id = ?)';
  const at = now.toISOString();
  return [
    part(
      `update accounts set status = 'archived', event_seq = event_seq + 1, updated_at = ?::timestamptz where id = ${owner}`,
      [at, contactId],
    ),
    part(
      `update sessions set revoked_at = ?::timestamptz, revoke_reason = 'archived' where revoked_at is null and account_id = ${owner}`,
      [at, contactId],
    ),
    part(
      `update flows set status = 'archived' where status in ('active', 'done') and machine = 'signup' and (contact_id = ? or account_id = ${owner})`,
      [contactId, contactId],
    ),
    part(`update kyc_records set status = 'REVOKED' where status = 'VERIFIED' and account_id = ${owner}`, [
      contactId,
    ]),
    part('update contacts set account_id = null, verified_at = null where id = ?', [contactId]),
  ];
};

const byIdQuery = (db: Database) =>
  db.reads
    .select()
    .from(contacts)
    .where(eq(contacts.id, sql.placeholder('id')))
    .prepare('contact_by_id');
const prepared = new WeakMap<Database, ReturnType<typeof byIdQuery>>();

export async function contactById(db: Database, id: string) {
  const byId = prepared.get(db) ?? byIdQuery(db);
  prepared.set(db, byId);
  const [row] = await byId.execute({ id });
  return row;
}
