/**
 * One master key becomes one independent key per purpose, so that a leak or misuse of one never helps with another.
 * The master key is never kept, logged or handed out; what is derived here must never leave the process.
 */
import { hkdfSync } from 'node:crypto';
import { stringify } from 'uuid';
import { flowTokenFor } from './flow-token.ts';
import { hmacSha256 } from './hmac.ts';

const PURPOSES = [
  'code',
  'lookup',
  'refresh',
  'flow',
  'kek',
  'idempotency',
  'cursor',
  'cookie',
  'backup_codes',
  'passkey_challenge',
] as const;
export type KeyPurpose = (typeof PURPOSES)[number];

export interface Keyring {
  /** The 32-byte key of one purpose. */
  key(purpose: KeyPurpose): Buffer;
  /** Keyed digest (64 hex digits) to find or compare a value whose clear text is not stored. */
  lookupHash(kind: string, value: string): string;
  /** The same UUIDv8 (RFC 9562 section 5.8) for the same canonical value, unguessable without the key. */
  lookupId(kind: string, canonical: string): string;
  /** The secret handle of one flow at one generation; the next generation kills it. */
  flowTokenFor(flowId: string, generation: number): string;
}

/** Derives every purpose by HKDF-SHA-256 (RFC 5869). Throws when the key is not 32 bytes or plainly not random. */
export function createKeyring(masterKey: Buffer): Keyring {
  refuseGuessable(masterKey);
  const keys = new Map(
    PURPOSES.map((purpose) => [
      purpose,
      Buffer.from(hkdfSync('sha256', masterKey, 'vestibule/keyring/1', purpose, 32)),
    ]),
  );
  const lookup = (use: string, kind: string, value: string) =>
    hmacSha256(keys.get('lookup')!, JSON.stringify([use, kind, value]));

  return {
    key: (purpose) => keys.get(purpose)!,
    lookupHash: (kind, value) => lookup('hash', kind, value).toString('hex'),
    lookupId: (kind, canonical) => uuidv8(lookup('id', kind, canonical)),
    flowTokenFor: (flowId, generation) => flowTokenFor(keys.get('flow')!, flowId, generation),
  };
}

function refuseGuessable(key: Buffer): void {
  if (key.length !== 32) throw new Error(`The master key must be exactly 32 bytes, not ${key.length}`);
  // 32 random bytes hold fewer than 16 distinct values about once in 10^14 keys.
  if (new Set(key).size < 16) throw new Error('The master key repeats itself; generate it at random');
  const step = (key[1]! - key[0]!) & 255;
  if (key.every((byte, i) => i === 0 || ((byte - key[i - 1]!) & 255) === step))
    throw new Error('The master key is a sequence; generate it at random');
  // Random bytes are all printable once in 10^13 keys; a typed sentence or a copied sample always is.
  if (key.every((byte) => byte >= 0x20 && byte < 0x7f))
    throw new Error('The master key is typed text; generate 32 random bytes and give them as base64 or hex');
}

function uuidv8(digest: Buffer): string {
  const bytes = digest.subarray(0, 16);
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return stringify(bytes);
}
