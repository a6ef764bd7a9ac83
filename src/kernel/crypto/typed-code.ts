/** A one-time code as a person types it: six digits of any script, or a backup code; blanks, hyphens and case do not matter. */

export type TypedCode = { form: 'digits' | 'backup'; text: string };

/** Without the letters and digits that are mistaken for one another. */
export const BACKUP_ALPHABET = '23456789ABCDEFGHJKLMNPQRSTUVWXYZ';
export const BACKUP_LENGTH = 8;
const BACKUP = new RegExp(`^[${BACKUP_ALPHABET}]{4}-?[${BACKUP_ALPHABET}]{4}$`);

const isDigit = (codePoint: number): boolean => /^\p{Nd}$/u.test(String.fromCodePoint(codePoint));

/** The value of a decimal digit: Unicode keeps those of a script in runs of ten. */
function digitValue(digit: string): number {
  const codePoint = digit.codePointAt(0) ?? 0;
  let zero = codePoint;
  while (isDigit(zero - 1)) zero--;
  return (codePoint - zero) % 10;
}

/** Null for any other text. */
export function parseTypedCode(input: string): TypedCode | null {
  if (input.length > 64) return null;
  const text = input.normalize('NFKC').replace(/\s/gu, '');
  if (/^\p{Nd}{6}$/u.test(text))
    return { form: 'digits', text: text.replace(/\p{Nd}/gu, (d) => String(digitValue(d))) };
  const upper = text.toUpperCase();
  return BACKUP.test(upper) ? { form: 'backup', text: upper.replace('-', '') } : null;
}
