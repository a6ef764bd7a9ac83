/**
 * Password and PIN hashes: argon2id (RFC 9106) keyed by our pepper and the account, so that a hash moved to another
 * account opens nothing; bcrypt and argon2id without a key for those brought along. A verification costs the same
 * whether or not there is an account, and a secret never appears in an error or a log.
 */
import { availableParallelism } from 'node:os';
import { Problem } from '../problems.ts';
import { dummyHash, type HashParams, markBound, parseHash, SALT_BYTES, TAG_BYTES, unmarked } from './phc.ts';
import { createHashingPool } from './pool.ts';
import type { HashingTask } from './worker.ts';

export type HasherOptions = {
  /** Hashes at a time; default: one per core. */
  threads?: number;
  /** Requests that may wait beyond those. Default 64. */
  queueLimit?: number;
  params?: HashParams;
  /** Keyed into every hash made here and stored nowhere; losing or changing it invalidates all of them. */
  pepper?: Buffer;
};

export interface Hasher {
  /**
   * Marked PHC text with a fresh salt, good for this account only. Throws `overloaded`, or `validation_failed` for a
   * secret that cannot be hashed whole.
   */
  hash(secret: string, accountId: string): Promise<string>;
  /**
   * False for a wrong secret or another account's hash, and after the same work for no hash (null) or an unreadable one.
   * `accountId`: whose row the hash was read from; null without one. Throws `overloaded`.
   */
  verify(phc: string | null, secret: string, accountId: string | null): Promise<boolean>;
  /** Whether a hash that has just been verified should be replaced by `hash` of the same secret. */
  needsRehash(phc: string): boolean;
  load(): { running: number; queued: number };
  close(): Promise<void>;
}

/** OWASP's and RFC 9106's floor for argon2id: 19 MiB, two passes; 20 ms of one core. */
export const DEFAULT_PARAMS: HashParams = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

/** Bytes of UTF-8; longer secrets are refused before any work. */
export const MAX_SECRET_BYTES = 1024;

/** What bcrypt reads of a password; it would silently ignore the rest. */
const BCRYPT_BYTES = 72;

export function createHasher(options: HasherOptions = {}): Hasher {
  const { threads = availableParallelism(), queueLimit = 64, params = DEFAULT_PARAMS, pepper } = options;
  const setup = { params, outputLen: TAG_BYTES, ...(pepper && { pepper }) };
  const pool = createHashingPool({ threads, queueLimit, setup });
  const dummy = dummyHash(params);

  function verification(phc: string | null, secret: string, accountId: string | null): HashingTask {
    const account = { account: accountId ?? '' };
    const nothing: HashingTask = { kind: 'argon2', phc: dummy, secret, key: account };
    const stored = phc === null ? null : parseHash(phc);
    if (phc === null || !stored) return nothing;
    if (stored.scheme === 'argon2id') {
      const key = stored.key === 'account' ? account : stored.key;
      return { kind: 'argon2', phc: unmarked(phc), secret, key };
    }
    return Buffer.byteLength(secret) <= BCRYPT_BYTES ? { kind: 'bcrypt', phc, secret } : nothing;
  }

  return {
    async hash(secret, accountId) {
      if (accountId === '') throw new Error('a hash needs the account it is for');
      const normal = hashable(secret);
      if (normal === null) throw new Problem('validation_failed');
      const key = { account: accountId };
      return markBound((await pool.run({ kind: 'hash', secret: normal, key })) as string);
    },
    async verify(phc, secret, accountId) {
      const normal = hashable(secret);
      if (normal === null) return false;
      return (await pool.run(verification(phc, normal, accountId))) === true;
    },
    needsRehash(phc) {
      const stored = parseHash(phc);
      if (stored?.scheme !== 'argon2id' || stored.key !== 'account') return true;
      return (
        stored.params.memoryCost < params.memoryCost ||
        stored.params.timeCost < params.timeCost ||
        stored.params.parallelism !== params.parallelism ||
        stored.saltBytes < SALT_BYTES ||
        stored.tagBytes < TAG_BYTES
      );
    },
    load: pool.load,
    close: pool.close,
  };
}

/** NFC and nothing else (NIST SP 800-63B-4); null when too long, or when two different texts would hash alike. */
function hashable(secret: string): string | null {
  if (secret.length > MAX_SECRET_BYTES || Buffer.byteLength(secret) > MAX_SECRET_BYTES) return null;
  if (!secret.isWellFormed() || secret.includes('\0')) return null;
  return secret.normalize('NFC');
}
