/** Sealing of secrets and personal data at rest: the interfaces that a key management system fills. They hold no key. */

/** A ciphertext that was altered, moved to another context, or sealed under a key that is not here. Audit it. */
export class DecryptionError extends Error {
  override readonly name = 'DecryptionError';
}

/** The key management system did not answer, or refused us. The message names no key, no request and no answer. */
export class KmsUnavailable extends Error {
  override readonly name = 'KmsUnavailable';
}

/** Envelope encryption. `context` is authenticated, not stored: decrypting under another context fails. */
export interface KmsPort {
  /** @throws KmsUnavailable */
  encrypt(plaintext: string, context: string): Promise<string>;
  /** @throws DecryptionError, KmsUnavailable */
  decrypt(ciphertext: string, context: string): Promise<string>;
}

/** A data key under a master key. `key` names the master key and its version, for example `local:2`. */
export type WrappedKey = { key: string; blob: string };

/** `account` is the UUID the data key belongs to: it is authenticated, and may stand in clear in the logs of the KMS. */
export type OwnedKey = { wrapped: WrappedKey; account: string };

/** What keeps the master keys: it wraps data keys of 32 bytes and never sees what they encrypt. */
export interface KeyWrapper {
  /** The name of the master key that wraps now. @throws KmsUnavailable */
  activeKey(): Promise<string>;
  /** @throws KmsUnavailable */
  wrap(dataKey: Buffer, account: string): Promise<WrappedKey>;
  /** @throws DecryptionError, KmsUnavailable */
  unwrap(owned: OwnedKey): Promise<Buffer>;
  /** The same data keys under the active master key, each or why it cannot be. @throws KmsUnavailable */
  rewrap(owned: readonly OwnedKey[]): Promise<(WrappedKey | DecryptionError)[]>;
}
