/**
 * Phone text → E.164. One spelling per number, or a refusal: two spellings of one number would be two accounts and
 * two sets of limits. Never guesses an extension, a letter, a foreign digit, or one of two readings.
 */
import {
  type CountryCode,
  getCountryCallingCode,
  type NumberType,
  parsePhoneNumberFromString,
} from 'libphonenumber-js/max';
import { z } from 'zod';
import { Problem } from '../problems.ts';
import { adviceFor, nationalReadings } from './national.ts';

/** `country` is ISO 3166-1 alpha-2, null for numbers of no country; `range` the first eight digits, for range limits. */
export type Phone = { e164: string; country: string | null; range: string };

export type PhoneOptions = {
  /** Country that numbers without a plus belong to. */
  defaultCountry: CountryCode;
  /** Accept the numbers reserved for fiction and tests; nothing can be delivered to them. */
  demo: boolean;
};

/** For request schemas. Only bounds the length: what it means is decided by {@link parsePhone}. */
export const phoneInput = z
  .string()
  .min(1)
  .max(32)
  .meta({
    description: 'E.164, or a number as it is written in the default country',
    examples: ['+15555555555'],
  });

/** Numbers that cost the caller, or that reach no single person. */
const REFUSED = new Set<NumberType>([
  'PREMIUM_RATE',
  'SHARED_COST',
  'TOLL_FREE',
  'PAGER',
  'UAN',
  'VOICEMAIL',
  'PERSONAL_NUMBER',
]);

/** +1 555 555 xxxx and +1 nnn 555 01xx, in E.164. */
export const isReservedPhone = (e164: string): boolean =>
  /^\+1(555555\d{4}|[2-9]\d{2}55501\d{2})$/.test(e164);

/** Blanks, marks of writing direction and other signs that print nothing, dashes of every kind, dots and brackets. */
const SIGNS = /[\s\p{Zs}\p{Cf}\p{Pd}\u2212.()]/gu;

/** Throws validation_failed at /body/phone. Linear in the input, which is refused unread beyond 32 characters. */
export function parsePhone(input: string, { defaultCountry, demo }: PhoneOptions): Phone {
  if (input.length > 32) throw refused('too_big', 'is too long');
  const compact = input.replace(SIGNS, '');
  const bare = /^(?!00)[0-9]{4,15}$/.test(compact);
  if (!bare && !/^\+[1-9][0-9]{6,14}$/.test(compact)) {
    throw refused('invalid_format', 'must be + and 7 to 15 digits, or a number of the default country');
  }
  const assigned = (e164: string) => (demo && isReservedPhone(e164)) || readAssigned(e164) !== null;
  const e164 = bare ? onlyReading(compact, defaultCountry, assigned) : compact;
  if (demo && isReservedPhone(e164)) return { e164, country: 'US', range: rangeOf(e164) };
  const number = readAssigned(e164);
  if (number === null) throw notAssigned(e164, assigned);
  if (REFUSED.has(number.type)) throw refused('not_personal', 'is not the number of a person');
  return { e164, country: number.country, range: rangeOf(e164) };
}

/** A number of the default country, if it can only be one. */
function onlyReading(digits: string, country: CountryCode, assigned: (e164: string) => boolean): string {
  const [first, second] = nationalReadings(digits, country, assigned);
  if (second !== undefined)
    throw refused('ambiguous', 'may be two numbers: write it with + and the country code');
  if (first === undefined) throw notAssigned(`+${getCountryCallingCode(country)}${digits}`, assigned);
  return first;
}

function notAssigned(e164: string, assigned: (e164: string) => boolean): Problem {
  const advice = adviceFor(e164, assigned);
  return advice === null
    ? refused('not_assigned', 'is not an assigned number')
    : refused('prefix_missing', advice);
}

/** Null unless the text is, to the digit, one assigned number: metadata may rewrite what it takes for a prefix. */
function readAssigned(e164: string): { type: NumberType; country: string | null } | null {
  if (!/^\+[1-9][0-9]{6,14}$/.test(e164) || isReservedPhone(e164)) return null;
  const number = parsePhoneNumberFromString(e164, { extract: false });
  if (number?.number !== e164) return null;
  // A number is valid when it is of some type; `isValid` would look for the type a second time.
  const type = number.getType();
  return type === undefined ? null : { type, country: number.country ?? null };
}

/** For logs, events and pages: +1*****5555. The country code and four digits stay; the stars do not tell the length. */
export function maskPhone(e164: string): string {
  const code = isReservedPhone(e164) ? '1' : (parsePhoneNumberFromString(e164)?.countryCallingCode ?? '');
  return `+${code}*****${e164.slice(-4)}`;
}

const rangeOf = (e164: string): string => e164.slice(1, 9);

const refused = (code: string, message: string) =>
  new Problem('validation_failed', { errors: [{ pointer: '/body/phone', code, message }] });
