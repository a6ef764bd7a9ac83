/**
 * E-mail text → one canonical address. The rule, used everywhere: the whole address is lower case, the domain in
 * A-labels. A spelling that reads differently to another program (quotes, comments, encoded words, look-alike @) is
 * refused.
 */
import { domainToASCII } from 'node:url';
import { z } from 'zod';
import { Problem } from '../problems.ts';

/** `canonical` is the key; `original` is what to write to, since a local part may be case-sensitive (RFC 5321 §2.4). */
export type Email = { canonical: string; original: string };

/** For request schemas. Only bounds the length: what it means is decided by {@link parseEmail}. */
export const emailInput = z
  .string()
  .trim()
  .min(3)
  .max(254)
  .meta({ description: 'An e-mail address', examples: ['jane@example.com'] });

const ATOM = "[A-Za-z0-9!#$%&'*+/=?^_`{|}~-]+";
/** RFC 5321 §4.1.2 Dot-string: ASCII, so that no two local parts differ only in Unicode form. */
const LOCAL = new RegExp(`^${ATOM}(?:\\.${ATOM})*$`);
/** What a mail program may decode (RFC 2047 §2), with its end or without. */
const ENCODED_WORD = /=\?[^?]*\?[BQ]\?/i;
const LABEL = /^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/;

/** Throws validation_failed at /body/email. Linear in the input, which is refused unread beyond 254 characters. */
export function parseEmail(given: string): Email {
  const input = given.trim();
  if (input.length > 254) throw refused('too_big', 'is too long');
  if (!input.isWellFormed()) throw refused();
  const [local, domain] = halves(input);
  halves(input.normalize('NFKC')); // another program may normalise before it splits
  if (local.length > 64 || !LOCAL.test(local) || ENCODED_WORD.test(local)) throw refused();

  const ascii = asciiDomain(domain);
  const canonical = `${local.toLowerCase()}@${ascii}`;
  const original = `${local}@${ascii}`;
  if (canonical.length > 254) throw refused('too_big', 'is too long');
  return { canonical, original };
}

function halves(text: string): [local: string, domain: string] {
  const parts = text.split('@');
  if (parts.length !== 2) throw refused();
  return parts as [string, string];
}

/** Host names of two or more labels only; the URL parser's liberties (percent signs, IP forms, ports) are refused. */
function asciiDomain(domain: string): string {
  if (!/^[\p{L}\p{M}\p{Nd}.-]+$/u.test(domain)) throw refused();
  const ascii = domainToASCII(domain);
  const labels = ascii.split('.');
  const top = labels.at(-1)!;
  const wellFormed = labels.every((label) => label.length <= 63 && LABEL.test(label));
  if (labels.length < 2 || !wellFormed || !/[a-z]/.test(top)) throw refused();
  return ascii;
}

/** Where an address has capitals, from 1: all that its own spelling says beyond its canonical one. */
export const capitalsOf = ({ original }: Email): number[] =>
  [...original].flatMap((letter, i) => (/[A-Z]/.test(letter) ? [i + 1] : []));

/** A canonical address as the person who gave it spelled it. */
export const spelled = (canonical: string, capitals: number[]): string =>
  [...canonical].map((letter, i) => (capitals.includes(i + 1) ? letter.toUpperCase() : letter)).join('');

/** For logs, events and pages: j***@example.com. */
export const maskEmail = (email: string): string => {
  const at = email.lastIndexOf('@');
  return `${email.slice(0, Math.min(1, at))}***${email.slice(at)}`;
};

const refused = (code = 'invalid_format', message = 'is not an e-mail address') =>
  new Problem('validation_failed', { errors: [{ pointer: '/body/email', code, message }] });
