/**
 * Codes to print: each works once. They are stored as keyed hashes, so that a thief of the database cannot search
 * their 40 bits, and each check costs one hash.
 */
import { randomInt } from 'node:crypto';
import { hmacSha256 } from '../../kernel/crypto/hmac.ts';
import { BACKUP_ALPHABET, BACKUP_LENGTH } from '../../kernel/crypto/typed-code.ts';
import type { FactorKind } from './kind.ts';

const BACKUP_CODES = 8;

const hashOf = (key: Buffer, accountId: string, code: string): string =>
  hmacSha256(key, JSON.stringify(['backup_code', accountId, code])).toString('base64url');

/** A new set: shown once, stored as hashes. */
export function newBackupCodes(key: Buffer, accountId: string): { shown: string[]; hashes: string[] } {
  const codes = new Set<string>();
  while (codes.size < BACKUP_CODES) {
    const letters = Array.from(
      { length: BACKUP_LENGTH },
      () => BACKUP_ALPHABET[randomInt(BACKUP_ALPHABET.length)],
    );
    codes.add(letters.join(''));
  }
  const list = [...codes];
  return {
    shown: list.map((code) => `${code.slice(0, 4)}-${code.slice(4)}`),
    hashes: list.map((code) => hashOf(key, accountId, code)),
  };
}

export const backupCodes = (key: Buffer): FactorKind => ({
  kind: 'backup_codes',
  level: 'second',
  amr: () => ['otp'],
  usable: ({ codes }) => codes.length > 0,
  form: 'backup',
  async check(factor, code) {
    const codeHash = hashOf(key, factor.accountId, code);
    return factor.codes.includes(codeHash) ? { factorId: factor.id, codeHash } : null;
  },
});
