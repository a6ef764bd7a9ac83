/**
 * A bounded memory of tokens already verified. Keyed by the hash of the whole token, so that another token never
 * borrows a verdict; it holds no token and no secret.
 */
import { hash } from 'node:crypto';

export interface Remembered<T> {
  get(token: string): T | undefined;
  /** Forgets the least recently used entry beyond the limit. */
  set(token: string, value: T): void;
  delete(token: string): void;
  size(): number;
}

export function remembered<T>(limit: number): Remembered<T> {
  const entries = new Map<string, T>();
  const keyOf = (token: string) => hash('sha256', token, 'base64url');
  return {
    get(token) {
      const key = keyOf(token);
      const value = entries.get(key);
      if (value !== undefined) {
        entries.delete(key);
        entries.set(key, value);
      }
      return value;
    },
    set(token, value) {
      entries.set(keyOf(token), value);
      if (entries.size > limit) entries.delete(entries.keys().next().value!);
    },
    delete: (token) => void entries.delete(keyOf(token)),
    size: () => entries.size,
  };
}
