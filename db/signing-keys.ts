/** Stores JWT signing keys; the private half arrives sealed. */
import { eq } from 'drizzle-orm';
import { Problem } from '../src/problems.ts';
import type { KeyStore, StoredKey } from '../src/tokens/index.ts';
import type { Database } from './client.ts';
import { signingKeys } from './schema.ts';

export const createKeyStore = (db: Database): KeyStore => ({
  async load() {
    const rows = await db.reads.select().from(signingKeys);
    return rows.map((row) => ({
      ...row,
      alg: row.alg as StoredKey['alg'],
      publicJwk: row.publicJwk as StoredKey['publicJwk'],
      createdAt: row.createdAt.getTime(),
      changedAt: row.changedAt.getTime(),
    }));
  },
  async insert(key) {
    const rows = await db.reads
      .insert(signingKeys)
      .values({
        ...key,
        publicJwk: key.publicJwk as Record<string, unknown>,
        createdAt: new Date(key.createdAt),
        changedAt: new Date(key.changedAt),
      })
      .onConflictDoNothing()
      .returning({ kid: signingKeys.kid });
    if (rows.length === 0) throw new Problem('conflict');
  },
  async setStatus(kid, status, at) {
    await db.reads
      .update(signingKeys)
      .set({ status, changedAt: new Date(at) })
      .where(eq(signingKeys.kid, kid));
  },
});
