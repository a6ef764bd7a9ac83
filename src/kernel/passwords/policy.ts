/**
 * What may become a password or a PIN. Pure: no hashing, no network, and never a value in what it answers.
 * The default policy is the documented one; `nist` follows SP 800-63B-4 section 3.1.1.2 (length, no composition).
 */

import type { FieldError } from '../problems.ts';
import { isCommon } from './blocklist.ts';

export type PasswordRules = {
  policy: 'default' | 'nist';
  /** Code points; default 12, for `nist` 15. */
  minLength?: number;
  /** What the person is known by: e-mail address, name, phone number. */
  context: string[];
  /** RFC 6901 pointer of the field; default `/password`. */
  pointer?: string;
};

const MAX_LENGTH = 128;
const MAX_BYTES = 1024;
/** Characters of a name or an address that a password must not hold. */
const MIN_WORD = 4;

const CLASSES: [RegExp, string, string][] = [
  [/\p{Lu}/u, 'password_missing_upper', 'Add an upper-case letter'],
  [/\p{Ll}/u, 'password_missing_lower', 'Add a lower-case letter'],
  [/\p{Nd}/u, 'password_missing_digit', 'Add a digit'],
  [/[^\p{L}\p{N}]/u, 'password_missing_special', 'Add a character that is neither letter nor digit'],
];

/** Everything wrong with a password, worst first; empty when it may be used. */
export function checkPassword(password: string, rules: PasswordRules): FieldError[] {
  const { policy, context, pointer = '/password', minLength = policy === 'nist' ? 15 : 12 } = rules;
  const error = (code: string, message: string): FieldError => ({ pointer, code, message });

  if (password.length > MAX_BYTES || Buffer.byteLength(password) > MAX_BYTES)
    return [error('password_too_long', `Use at most ${MAX_LENGTH} characters`)];
  if (!isText(password))
    return [error('password_invalid_characters', 'The password holds characters that cannot be stored')];

  const value = password.normalize('NFC');
  const length = [...value].length;
  const errors: FieldError[] = [];
  if (length < minLength) errors.push(error('password_too_short', `Use at least ${minLength} characters`));
  if (length > MAX_LENGTH) errors.push(error('password_too_long', `Use at most ${MAX_LENGTH} characters`));
  if (policy === 'default')
    for (const [pattern, code, message] of CLASSES)
      if (!pattern.test(value)) errors.push(error(code, message));
  if (policy === 'default' ? containsContext(value, context) : equalsContext(value, context))
    errors.push(error('password_contains_identity', 'Leave out your name, e-mail address and phone number'));
  if (isCommon(value)) errors.push(error('password_too_common', 'This password is too easy to guess'));
  return errors;
}

const isText = (value: string): boolean => value.isWellFormed() && !value.includes('\0');

const foldCase = (value: string): string => value.normalize('NFKC').toLowerCase();

function containsContext(password: string, context: string[]): boolean {
  const folded = foldCase(password);
  const digits = password.replace(/\D/g, '');
  return context.some((known) => {
    const phone = phoneTail(known, 7);
    if (phone !== null) return digits.includes(phone);
    return contextWords(known).some((word) => folded.includes(word));
  });
}

function equalsContext(password: string, context: string[]): boolean {
  const folded = foldCase(password);
  return context.some((known) => {
    const all = foldCase(known);
    return folded === all || folded === all.replace(/\D/g, '') || contextWords(known).includes(folded);
  });
}

/** An address and its local part, or a name, its words and their joined form; shorter words are in too many passwords. */
function contextWords(known: string): string[] {
  const folded = foldCase(known).trim();
  const words = folded.includes('@')
    ? [folded, folded.slice(0, folded.lastIndexOf('@')), folded.split(/[@+]/, 1)[0]!]
    : [folded, folded.replace(/\s+/g, ''), ...folded.split(/[\s,.'-]+/)];
  return words.filter((word) => [...word].length >= MIN_WORD);
}

/** The last digits of something that is a phone number, else null. */
function phoneTail(text: string, digits: number): string | null {
  if (!/^\+?[\d\s().-]{7,}$/.test(text)) return null;
  const all = text.replace(/\D/g, '');
  return all.length >= digits ? all.slice(-digits) : null;
}

export type PinContext = {
  /** ISO date. */
  birthDate?: string | null;
  phone?: string | null;
  /** RFC 6901 pointer of the field; default `/pin`. */
  pointer?: string;
};

/** Digits people tap without thinking; repeats and sequences are found by rule. */
const COMMON_PINS = new Set(
  `159753 147258 258456 147852 159357 753951 142536 102030 112233 332211 121314 131415 520520 696969 007007
  101010 248163 314159 271828 100000 200000 123321 654456 789456 456789 147896 112358 789456123 147258369 159357456
  741852963 963852741 1029384756 246810 13579 135790 135791 24681012 11223344 12344321 19871987 00112233`.split(
    /\s+/,
  ),
);

/** Everything wrong with a PIN of 6 to 12 digits; empty when it may be used. */
export function checkPin(pin: string, { birthDate, phone, pointer = '/pin' }: PinContext): FieldError[] {
  const error = (code: string, message: string): FieldError => ({ pointer, code, message });
  if (!/^[0-9]{6,12}$/.test(pin)) return [error('pin_invalid_format', 'Use 6 to 12 digits')];
  const errors: FieldError[] = [];
  if (COMMON_PINS.has(pin) || repeats(pin) || runs(pin))
    errors.push(error('pin_too_common', 'This PIN is too easy to guess'));
  if (birthDate && birthSpellings(birthDate).some((date) => pin.includes(date)))
    errors.push(error('pin_contains_birth_date', 'Leave out your date of birth'));
  const tail = phone ? phoneTail(phone, 6) : null;
  if (tail && pin.includes(tail)) errors.push(error('pin_contains_phone', 'Leave out your phone number'));
  return errors;
}

/** 000000, 121212, 123123, 12341234, 112112. */
const repeats = (pin: string): boolean => /^(\d{1,6}?)\1+$/.test(pin);

/** Each digit one, or every digit the same step, from the one before: 123456, 098765, 246802. */
function runs(pin: string): boolean {
  const step = (i: number) => (Number(pin[i]) - Number(pin[i - 1]) + 10) % 10;
  return [...pin].every((_, i) => i < 2 || step(i) === step(1));
}

function birthSpellings(birthDate: string): string[] {
  const [year, month, day] = birthDate.slice(0, 10).split('-');
  if (!year || !month || !day) return [];
  return [year, year.slice(2)].flatMap((y) => [
    day + month + y,
    month + day + y,
    y + month + day,
    y + day + month,
  ]);
}
