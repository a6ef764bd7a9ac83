/** Writes of password and PIN hashes and of the profile; reads of hashes for a proof outside any transaction. */
import type { Database } from './client.ts';
import { execute } from './write/compose.ts';
import { fragment, type WriteFragment } from './write/fragment.ts';

export type CredentialHashes = { passwordHash: string | null; pinHash: string | null };

/** Sets the password, and the PIN when there is one; the password version moves so that older proofs are void. */
export const storeHashes = (accountId: string, hashes: CredentialHashes, now: Date): WriteFragment =>
  fragment(
    `insert into credentials (account_id, password_hash, pin_hash, password_changed_at, password_version)
     values (?, ?, ?, ?::timestamptz, 1)
     on conflict (account_id) do update set
       password_hash = coalesce(excluded.password_hash, credentials.password_hash),
       pin_hash = coalesce(excluded.pin_hash, credentials.pin_hash),
       password_changed_at = excluded.password_changed_at,
       password_restored_at = null,
       password_version = credentials.password_version + 1`,
    [accountId, hashes.passwordHash, hashes.pinHash, now.toISOString()],
  );

export type Secret = 'password' | 'pin';

/** Replaces a hash by one of the same password or PIN, unless that has changed meanwhile. */
export const rehash = (
  db: Pick<Database, 'writes'>,
  accountId: string,
  secret: Secret,
  old: string,
  fresh: string,
) =>
  execute(db.writes, [
    fragment(`update credentials set ${secret}_hash = ? where account_id = ? and ${secret}_hash = ?`, [
      fresh,
      accountId,
      old,
    ]),
  ]);

/** The password of a restored backup is trusted again. */
export const confirm = (accountId: string): WriteFragment =>
  fragment('update credentials set password_restored_at = null where account_id = ?', [accountId]);

export const forget = (accountId: string): WriteFragment =>
  fragment('delete from credentials where account_id = ?', [accountId]);

export const forgetProfile = (accountId: string): WriteFragment =>
  fragment('delete from profiles where account_id = ?', [accountId]);

export type ProfileFields = {
  /** One name as given. */
  displayName?: string | null;
  firstName: string | null;
  lastName: string | null;
  birthDate: string | null;
  address: Record<string, string> | null;
  timezone?: string | null;
  locale?: string | null;
  complete: boolean;
};

export const storeProfile = (accountId: string, profile: ProfileFields, now: Date): WriteFragment =>
  fragment(
    `insert into profiles (account_id, display_name, first_name, last_name, birth_date, address, timezone, locale, completed_at)
     values (?, ?, ?, ?, ?::date, ?::jsonb, ?, ?, ?::timestamptz)
     on conflict (account_id) do update set
       display_name = coalesce(excluded.display_name, profiles.display_name),
       first_name = coalesce(excluded.first_name, profiles.first_name),
       last_name = coalesce(excluded.last_name, profiles.last_name),
       birth_date = coalesce(excluded.birth_date, profiles.birth_date),
       address = coalesce(excluded.address, profiles.address),
       timezone = coalesce(excluded.timezone, profiles.timezone),
       locale = coalesce(excluded.locale, profiles.locale),
       completed_at = coalesce(excluded.completed_at, profiles.completed_at)`,
    [
      accountId,
      profile.displayName ?? null,
      profile.firstName,
      profile.lastName,
      profile.birthDate,
      profile.address === null ? null : JSON.stringify(profile.address),
      profile.timezone ?? null,
      profile.locale ?? null,
      profile.complete ? now.toISOString() : null,
    ],
  );
