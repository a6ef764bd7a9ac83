/** Turns the text of a variable into a value. Every message states what is expected and never what was given. */
import { isIP } from 'node:net';
import { z } from 'zod';
import type { Window } from './limit-numbers.ts';

type Parser<T> = z.ZodType<T, string>;

/** A parser from a function that answers undefined for text it does not accept. */
const by = <T>(expected: string, parse: (raw: string) => T | undefined): Parser<T> =>
  z.string().transform((raw, context): T => {
    const value = parse(raw);
    if (value !== undefined) return value;
    context.issues.push({ code: 'custom', message: expected, input: undefined });
    return z.NEVER;
  });

export const text: Parser<string> = z.string().max(4096, 'must not be longer than 4096 characters');

export const integer = (min: number, max: number): Parser<number> =>
  by(`must be a whole number from ${min} to ${max}`, (raw) => {
    const value = /^-?\d{1,15}$/.test(raw) ? Number(raw) : Number.NaN;
    return value >= min && value <= max ? value : undefined;
  });

const WORDS: Record<string, boolean> = {
  true: true,
  1: true,
  yes: true,
  on: true,
  false: false,
  0: false,
  no: false,
  off: false,
};
export const flag: Parser<boolean> = by('must be true or false', (raw) => WORDS[raw.toLowerCase()]);

/** DEBUG also carries namespaces for the npm package of that name; those are not meant for us. */
export const lenientFlag: Parser<boolean> = by(
  'must be true or false',
  (raw) => WORDS[raw.toLowerCase()] ?? false,
);

/** One of a closed list, compared without regard to case. The documents list the choices. */
export const oneOf = <const T extends string>(...choices: T[]): Parser<T> =>
  by(`must be one of ${choices.join(', ')}`, (raw) =>
    choices.find((choice) => choice.toLowerCase() === raw.toLowerCase()),
  ).meta({ choices });

/** Comma-separated; blanks are dropped. */
export const list = <T>(item: Parser<T>): Parser<T[]> =>
  z
    .string()
    .transform((raw) =>
      raw
        .split(',')
        .map((part) => part.trim())
        .filter((part) => part !== ''),
    )
    .pipe(z.array(item)) as unknown as Parser<T[]>;

const parsedUrl = (raw: string): URL | undefined => (URL.canParse(raw) ? new URL(raw) : undefined);

/** An http(s) URL without credentials, query or fragment; returned without a trailing slash. */
export const httpUrl: Parser<string> = by(
  'must be an http or https URL without credentials, query or fragment',
  (raw) => {
    const url = parsedUrl(raw);
    const plain = url && /^https?:$/.test(url.protocol) && !url.username && !url.search && !url.hash;
    return plain ? url.href.replace(/\/+$/, '') : undefined;
  },
);

/** Origins of web views and browser extensions: opaque to URL parsers, compared as text. */
const APP_ORIGIN =
  /^(?:capacitor|ionic|tauri|app|chrome-extension|moz-extension|safari-web-extension):\/\/[A-Za-z0-9][A-Za-z0-9.-]{0,252}$/;

/** An https URL, as mail programs load images from. */
export const imageUrl: Parser<string> = by('must be an https URL', (raw) => {
  const url = parsedUrl(raw);
  return url?.protocol === 'https:' && !url.username ? url.href : undefined;
});

export const color: Parser<string> = by('must be a colour such as #1f5fbf', (raw) =>
  /^#[0-9a-f]{6}$/i.test(raw) ? raw.toLowerCase() : undefined,
);

/** BCP 47, in its canonical spelling. */
export const locale: Parser<string> = by('must be a language tag such as en or pt-BR', (raw) => {
  try {
    return Intl.getCanonicalLocales(raw)[0];
  } catch {
    return undefined;
  }
});

/** scheme://host[:port] exactly as a browser sends it in `Origin`; no wildcard, no path. */
export const origin: Parser<string> = by(
  'must list exact origins such as https://app.example.com or capacitor://localhost; * is not accepted',
  (raw) => {
    if (APP_ORIGIN.test(raw)) return raw;
    const url = parsedUrl(raw);
    return url &&
      !raw.includes('*') &&
      /^https?:$/.test(url.protocol) &&
      url.origin === raw.replace(/\/$/, '')
      ? url.origin
      : undefined;
  },
);

/** The name of a request header, lower case (RFC 9110 section 5.6.2). */
export const headerName: Parser<string> = by('must list header names; * is not accepted', (raw) =>
  /^[A-Za-z0-9-]{1,64}$/.test(raw) ? raw.toLowerCase() : undefined,
);

/** An address or network; a prefix of 0 would trust the whole internet. */
export const network: Parser<string> = by('must list IP addresses or networks such as 10.0.0.0/8', (raw) => {
  const [address = '', prefix, ...rest] = raw.split('/');
  const bits = isIP(address) === 4 ? 32 : 128;
  const length = prefix === undefined ? bits : /^\d{1,3}$/.test(prefix) ? Number(prefix) : 0;
  return isIP(address) && rest.length === 0 && length >= 1 && length <= bits ? raw : undefined;
});

export const emailAddress: Parser<string> = by('must be an e-mail address', (raw) =>
  /^[^\s@<>,;:"]{1,64}@[^\s@<>,;:"]{1,253}$/.test(raw) ? raw : undefined,
);

export const country: Parser<string> = by('must be two-letter ISO 3166 country codes', (raw) =>
  /^[A-Za-z]{2}$/.test(raw) ? raw.toUpperCase() : undefined,
);

export const phonePrefix: Parser<string> = by('must list E.164 prefixes such as +882', (raw) =>
  /^\+\d{1,14}$/.test(raw) ? raw : undefined,
);

/** 32 or more bytes as hexadecimal or base64(url); `exactly` demands that many. */
export const keyBytes = (exactly?: number): Parser<Buffer> =>
  by(`must be ${exactly ?? 'at least 32'} bytes as hexadecimal or base64`, (raw) => {
    const hex = /^(?:[0-9a-f]{2})+$/i.test(raw);
    const base64 = /^[A-Za-z0-9+/_-]+={0,2}$/.test(raw);
    const bytes = hex ? Buffer.from(raw, 'hex') : base64 ? Buffer.from(raw, 'base64') : undefined;
    return bytes && (exactly === undefined ? bytes.length >= 32 : bytes.length === exactly)
      ? bytes
      : undefined;
  });

/** `local:2=<key>`: a key of 32 bytes with a name and version of its own. */
export const namedKey: Parser<{ id: string; key: Buffer }> = by(
  'must list keys as local:2=<32 bytes as hexadecimal or base64>',
  (raw) => {
    const [, id, text] = /^(local:\d{1,6})=(.+)$/.exec(raw) ?? [];
    const key = text === undefined ? undefined : keyBytes(32).safeParse(text);
    return id && key?.success ? { id, key: key.data } : undefined;
  },
);

/** PEM text, also on one line with `\n` written out. */
export const pem: Parser<string> = by('must be a private key in PEM form', (raw) => {
  const unfolded = raw.replaceAll('\\n', '\n');
  return /^-----BEGIN [A-Z ]*PRIVATE KEY-----/.test(unfolded) ? unfolded : undefined;
});

const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** `5/15m`: five in any fifteen minutes. Units s, m, h, d; the window is at most 30 days. */
export const limit: Parser<Window> = by('must look like 5/15m (count/window, units s, m, h, d)', (raw) => {
  const match = /^(\d{1,7})\/(\d{1,5})([smhd])$/.exec(raw);
  if (!match) return undefined;
  const [count, windowMs] = [Number(match[1]), Number(match[2]) * (UNITS[match[3] ?? ''] ?? 0)];
  return count >= 1 && windowMs >= 1000 && windowMs <= 30 * 86_400_000
    ? { limit: count, windowMs }
    : undefined;
});
