/** A one-time code as a person types it: six digits of any script, or a backup code, with its hyphen or without; blanks and case do not matter. */
import { asciiDigits } from '../identifiers/digits.ts';

export type TypedCode = { form: 'digits' | 'backup'; text: string };

/** Without the letters and digits that are mistaken for one another. */
export const BACKUP_ALPHABET = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';
export const BACKUP_LENGTH = 8;
const BACKUP = new RegExp(`^[${BACKUP_ALPHABET}]{4}-?[${BACKUP_ALPHABET}]{4}$`);

/** Null for any other text. */
export function parseTypedCode(input: string): TypedCode | null {
  if (input.length > 64) return null;
  const text = input.normalize('NFKC').replace(/\s/gu, '');
  if (/^\p{Nd}{6}$/u.test(text)) return { form: 'digits', text: asciiDigits(text) };
  const upper = text.toUpperCase();
  return BACKUP.test(upper) ? { form: 'backup', text: upper.replace('-', '') } : null;
}
