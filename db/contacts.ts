/** Writes of contact points: interned once, owned by at most one account, and only after proof. */

import type { Database } from './client.ts';
import { execute } from './write/compose.ts';
import { fragment, type WriteFragment } from './write/fragment.ts';

export type ContactPoint = { id: string; type: 'phone' | 'email'; canonical: string; value: string };

/** A row that nobody owns is kept on by whoever names it at this age: no later than half of any retention. */
const KEEP_ON_MS = 15 * 86_400_000;

/**
 * Makes sure the row exists; says nothing about who owns it. An owned or young one is only looked at: nothing erases it
 * soon. One that is nearing its end is kept on, under its lock, so that `forgetUnowned` passes it by; if that was faster,
 * it is made anew.
 */
export const intern = (contact: ContactPoint, now: Date): WriteFragment => {
  const at = now.toISOString();
  const old = new Date(now.getTime() - KEEP_ON_MS).toISOString();
  return fragment(
    `insert into contacts as c (id, type, canonical, value, created_at) select ?::uuid, ?, ?, ?, ?::timestamptz
     where not exists (select 1 from contacts
       where id = ?::uuid and (account_id is not null or coalesce(kept_from, created_at) >= ?::timestamptz))
     on conflict (id) do update set kept_from = excluded.created_at
       where c.account_id is null and coalesce(c.kept_from, c.created_at) < ?::timestamptz`,
    [contact.id, contact.type, contact.canonical, contact.value, at, contact.id, old, old],
  );
};

/** As `intern`, at once: a commit does not see what it inserts, and a later one claims the contact. */
export const internNow = (db: Pick<Database, 'writes'>, contact: ContactPoint, now: Date) =>
  execute(db.writes, [intern(contact, now)]);

/**
 * Erases addresses that nobody owns, no flow under way needs, and nobody has named since `until`: given up, or never
 * proven. Ended flows forget them too. Other replicas and whoever is naming one are not waited for.
 */
export async function forgetUnowned(db: Database, until: Date, limit: number): Promise<void> {
  await db.writes.unsafe(
    `with gone as (
       delete from contacts where id = any(array(
         select c.id from contacts c
         where c.account_id is null and coalesce(c.kept_from, c.created_at) <= $1::timestamptz
           and not exists (select 1 from flows f where f.contact_id = c.id and f.status = 'active')
         order by coalesce(c.kept_from, c.created_at) limit $2::int for update skip locked))
       returning id)
     update flows set contact_id = null where contact_id in (select id from gone)`,
    [until.toISOString(), limit] as never[],
    { prepare: true },
  );
}

/**
 * Gives a free contact to the account that proved it; stale when somebody else has it by now. It is written to as it was
 * proven from then on, whoever named it first: in capitals at these places of the canonical form, or as `value` says.
 */
export const claim = (
  contactId: string,
  accountId: string,
  now: Date,
  proven: { capitals: number[] } | { value: string },
): WriteFragment => {
  const owned = 'id = ? and (account_id is null or account_id = ?)';
  const [text, given] = 'value' in proven ? ['?', proven.value] : [SPELLED, proven.capitals.join(',')];
  return fragment(
    `update contacts set account_id = ?, verified_at = ?::timestamptz, value = ${text} where ${owned}`,
    [accountId, now.toISOString(), given, contactId, accountId],
    1,
  );
};

const SPELLED = `(select string_agg(
    case when i = any(string_to_array(?, ',')::bigint[]) then upper(letter) else letter end, '' order by i)
  from unnest(string_to_array(canonical, null)) with ordinality as spelled(letter, i))`;

/** Frees what a sign-up claimed that ended before it had an account to speak of. */
export const release = (accountId: string, now: Date): WriteFragment =>
  fragment(
    'update contacts set account_id = null, verified_at = null, kept_from = ?::timestamptz where account_id = ?',
    [now.toISOString(), accountId],
  );

/** Other contacts of the account and type are no longer the first choice. The one that leaves meanwhile is left alone. */
export const demoteOthers = (
  contactId: string,
  accountId: string,
  leaving: string | null = null,
): WriteFragment =>
  fragment(
    `update contacts set is_primary = false
     where account_id = ? and id <> ? and id is distinct from ?::uuid
       and type = (select type from contacts where id = ?)`,
    [accountId, contactId, leaving, contactId],
  );

/** Takes a contact from its account, unless it is the last proven one and has no successor in the same commit. */
export const removeOne = (
  contactId: string,
  accountId: string,
  now: Date,
  successor: string | null = null,
): WriteFragment =>
  fragment(
    `update contacts set account_id = null, verified_at = null, is_primary = true, kept_from = ?::timestamptz
     where id = ? and account_id = ? and (?::uuid is not null or exists (
       select 1 from contacts other where other.account_id = ? and other.id <> ? and other.verified_at is not null))`,
    [now.toISOString(), contactId, accountId, successor, accountId, contactId],
    1,
  );

/** Gives an account a contact it had, as its first choice; stale when somebody else has it by now. */
export const restore = (contactId: string, accountId: string, now: Date): WriteFragment =>
  fragment(
    `update contacts set account_id = ?, verified_at = coalesce(verified_at, ?::timestamptz), is_primary = true
     where id = ? and (account_id is null or account_id = ?)`,
    [accountId, now.toISOString(), contactId, accountId],
    1,
  );

/** Frees a reserved demo contact and archives what it owned, so that the demo can be run again. */
export const archive = (contactId: string, now: Date): WriteFragment[] => {
  const owner = '(select account_id from contacts where id = ?)';
  const at = now.toISOString();
  return [
    fragment(
      `update accounts set status = 'archived', event_seq = event_seq + 1, updated_at = ?::timestamptz where id = ${owner}`,
      [at, contactId],
    ),
    fragment(
      `update sessions set revoked_at = ?::timestamptz, revoke_reason = 'archived' where revoked_at is null and account_id = ${owner}`,
      [at, contactId],
    ),
    fragment(
      `update flows set status = 'archived' where status in ('active', 'done') and machine = 'signup' and (contact_id = ? or account_id = ${owner})`,
      [contactId, contactId],
    ),
    fragment(
      `update kyc_records set status = 'REVOKED' where status = 'VERIFIED' and account_id = ${owner}`,
      [contactId],
    ),
    fragment(
      'update contacts set account_id = null, verified_at = null, kept_from = ?::timestamptz where id = ?',
      [at, contactId],
    ),
  ];
};
