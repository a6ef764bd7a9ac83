/** The key manager's view of the stored signing keys. */
import type { createSigningKeys } from '../../../db/signing-keys.ts';
import { Problem } from '../problems.ts';
import type { KeyStore, StoredKey } from './key-manager.ts';

export const createKeyStore = (rows: ReturnType<typeof createSigningKeys>): KeyStore => ({
  async load() {
    return (await rows.load()).map((row) => ({
      ...row,
      alg: row.alg as StoredKey['alg'],
      publicJwk: row.publicJwk as StoredKey['publicJwk'],
      createdAt: row.createdAt.getTime(),
      changedAt: row.changedAt.getTime(),
    }));
  },
  async insert(key) {
    const inserted = await rows.insert({
      ...key,
      publicJwk: key.publicJwk as Record<string, unknown>,
      createdAt: new Date(key.createdAt),
      changedAt: new Date(key.changedAt),
    });
    if (!inserted) throw new Problem('conflict');
  },
  setStatus: (kid, status, at) => rows.setStatus(kid, status, new Date(at)),
});
