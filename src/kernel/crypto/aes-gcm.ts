/** AES-256-GCM with a random 96-bit nonce and a 128-bit tag, as one base64url text. It must never be used with a nonce given from outside. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { DecryptionError } from '../kms.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Base64url of nonce, ciphertext and tag. `authenticated` is not stored. */
export function seal(key: Buffer, plaintext: Buffer, authenticated: Buffer): string {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES }).setAAD(
    authenticated,
  );
  const bytes = [nonce, cipher.update(plaintext), cipher.final(), cipher.getAuthTag()];
  return Buffer.concat(bytes).toString('base64url');
}

/** @throws DecryptionError for an altered, truncated or moved text */
export function open(key: Buffer, text: string, authenticated: Buffer): Buffer {
  const bytes = Buffer.from(text, 'base64url');
  // One spelling per value: base64url decoding skips what it does not know.
  if (bytes.toString('base64url') !== text || bytes.length < NONCE_BYTES + TAG_BYTES) {
    throw new DecryptionError('Not a sealed value');
  }
  const nonce = bytes.subarray(0, NONCE_BYTES);
  const decipher = createDecipheriv('aes-256-gcm', key, nonce, { authTagLength: TAG_BYTES })
    .setAAD(authenticated)
    .setAuthTag(bytes.subarray(-TAG_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(NONCE_BYTES, -TAG_BYTES)), decipher.final()]);
  } catch (cause) {
    throw new DecryptionError('The value was altered or belongs to another context', { cause });
  }
}
