/** Sealing of secrets and personal data at rest: the interface that a key management system fills. It holds no key. */

/** A ciphertext that was altered, moved to another context, or sealed under a key that is not here. Audit it. */
export class DecryptionError extends Error {
  override readonly name = 'DecryptionError';
}

/** Envelope encryption. `context` is authenticated, not stored: decrypting under another context fails. */
export interface KmsPort {
  encrypt(plaintext: string, context: string): Promise<string>;
  /** @throws DecryptionError */
  decrypt(ciphertext: string, context: string): Promise<string>;
}
