/** After a secret was right: a hash of an older kind becomes one of today's. It must never change which secret is right. */
import type { Database } from '../../db/client.ts';
import { rehash, type Secret } from '../../db/credentials.ts';
import type { Hasher } from '../kernel/hashing/index.ts';

/** Binds the hash to its account and brings it to today's strength; a busy service leaves it for the next login. */
export async function renewHash(
  { hasher, db }: { hasher: Hasher; db: Pick<Database, 'writes'> },
  right: { accountId: string; kind: Secret; hash: string; secret: string },
): Promise<void> {
  if (!hasher.needsRehash(right.hash)) return;
  const fresh = await hasher.hash(right.secret, right.accountId).catch(() => null);
  if (fresh !== null) await rehash(db, right.accountId, right.kind, right.hash, fresh);
}
