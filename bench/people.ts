/** Seeded accounts that can log in by code and by password, in both databases, and as many idle ones beside them. */
import { hashSync } from '@node-rs/argon2';
import postgres from 'postgres';
import { createKeyring } from '../src/kernel/crypto/keyring.ts';
import { createHasher, DEFAULT_PARAMS } from '../src/kernel/hashing/index.ts';

export const PASSWORD = 'Str0ng-Passw0rd!9';
/** Numbers of ordinary people as far as any rule is concerned; nothing is ever sent to them. */
export const seededPhone = (i: number): string => `+91${9_000_000_000 + i}`;
export const freshPhone = (i: number): string => `+91${9_100_000_000 + i}`;

const accountId = (i: string) => `('00000000-0000-7000-8000-' || lpad(to_hex(${i}), 12, '0'))::uuid`;

const idOf = (i: number) => `00000000-0000-7000-8000-${i.toString(16).padStart(12, '0')}`;

/** A hash of each account that takes part: one is good for its account only. About 10 ms each on two cores. */
async function boundHashes(pepper: string, active: number): Promise<string[]> {
  const hasher = createHasher({ queueLimit: active, pepper: Buffer.from(pepper, 'hex') });
  const hashes = await Promise.all(Array.from({ length: active }, (_, i) => hasher.hash(PASSWORD, idOf(i))));
  await hasher.close();
  return hashes;
}

/** As the baseline keeps it: the pepper alone. */
const plainHash = (pepper: string): string =>
  hashSync(PASSWORD, { ...DEFAULT_PARAMS, algorithm: 2, secret: Buffer.from(pepper, 'hex') });

/** `active` accounts take part; the others up to `total` only make the tables and indexes larger. */
export async function seed(options: {
  serviceUrl: string;
  baselineUrl: string;
  masterKey: string;
  pepper: string;
  active: number;
  total: number;
}): Promise<void> {
  const { masterKey, active, total } = options;
  const hash = plainHash(options.pepper);
  const bound = await boundHashes(options.pepper, active);
  const keyring = createKeyring(Buffer.from(masterKey, 'hex'));
  const [service, baseline] = [options.serviceUrl, options.baselineUrl].map((url) =>
    postgres(url, { max: 1, onnotice: () => {} }),
  ) as [postgres.Sql, postgres.Sql];
  await baseline.unsafe(`insert into accounts (id, phone, status, tier, password_hash, first_name, last_name, created_at)
    select ${accountId('i')}, '+91' || (9000000000 + i), 'active', 'LIMITED', '${hash}', 'Ada', 'Byron', now()
    from generate_series(0, ${total - 1}) i`);
  await service.unsafe(`insert into accounts (id, status, tier, created_at, updated_at)
    select ${accountId('i')}, 'active', 'LIMITED', now(), now() from generate_series(0, ${total - 1}) i`);
  await service.unsafe(`insert into credentials (account_id, password_hash, password_changed_at)
    select id, '${hash}', now() from accounts`);
  await service.unsafe(`insert into profiles (account_id, first_name, last_name, completed_at)
    select id, 'Ada', 'Byron', now() from accounts`);
  for (let from = 0; from < active; from += 5000) {
    const hashes = bound.slice(from, from + 5000);
    await service.unsafe(
      `update credentials c set password_hash = t.hash from unnest($1::text[]) with ordinality as t(hash, n)
       where c.account_id = ${accountId(`(${from} + t.n - 1)`)}`,
      [hashes as never],
    );
    const ids = Array.from({ length: Math.min(5000, active - from) }, (_, i) =>
      keyring.lookupId('phone', seededPhone(from + i)),
    );
    await service.unsafe(
      `insert into contacts (id, type, canonical, value, account_id, verified_at, created_at)
       select t.id::uuid, 'phone', '+91' || (9000000000 + ${from} + t.n - 1), '+91' || (9000000000 + ${from} + t.n - 1),
         ${accountId(`(${from} + t.n - 1)`)}, now(), now() from unnest($1::text[]) with ordinality as t(id, n)`,
      [ids as never],
    );
  }
  await service.unsafe(`insert into contacts (id, type, canonical, value, account_id, verified_at, created_at)
    select gen_random_uuid(), 'phone', '+91' || (9000000000 + i), '+91' || (9000000000 + i), ${accountId('i')}, now(), now()
    from generate_series(${active}, ${total - 1}) i`);
  for (const sql of [service, baseline]) {
    await sql.unsafe('vacuum analyze');
    await sql.end();
  }
}
