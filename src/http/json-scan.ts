/**
 * What JSON.parse lets through and we do not: one linear pass over the text before it is parsed. It judges only;
 * syntax is JSON.parse's business, so the two together must accept a subset of RFC 8259.
 */
import { Problem } from '../kernel/problems.ts';

const MAX_DEPTH = 16;
const MAX_KEYS = 256;
const MAX_NUMBER = 32;
const FORBIDDEN_KEYS = new Set(['__proto__', 'constructor', 'prototype']);

const [QUOTE, BACKSLASH, COMMA, COLON] = [0x22, 0x5c, 0x2c, 0x3a];
const [OPEN_OBJECT, CLOSE_OBJECT, OPEN_ARRAY, CLOSE_ARRAY] = [0x7b, 0x7d, 0x5b, 0x5d];

/** `keys` is null for an array; `atKey` is true where the next string names a member. */
type Container = { keys: Set<string> | null; atKey: boolean };

/** Throws malformed_body, with a reason that quotes nothing. */
export function scanJson(text: string): void {
  const open: Container[] = [];
  let keys = 0;
  let at = 0;
  while (at < text.length) {
    const c = text.charCodeAt(at);
    const container = open.at(-1);
    if (c === QUOTE) {
      const end = closingQuote(text, at);
      const value = stringValue(text, at, end);
      if (container?.keys && container.atKey) {
        if (++keys > MAX_KEYS) throw malformed(`The body has more than ${MAX_KEYS} keys.`);
        if (FORBIDDEN_KEYS.has(value)) throw malformed('The body has a key that is not allowed anywhere.');
        if (container.keys.has(value)) throw malformed('The body repeats a key.');
        container.keys.add(value);
      }
      at = end + 1;
    } else if (c === OPEN_OBJECT || c === OPEN_ARRAY) {
      if (open.length === MAX_DEPTH) throw malformed(`The body nests deeper than ${MAX_DEPTH} levels.`);
      open.push(c === OPEN_OBJECT ? { keys: new Set(), atKey: true } : { keys: null, atKey: false });
      at++;
    } else if (c === CLOSE_OBJECT || c === CLOSE_ARRAY) {
      open.pop();
      at++;
    } else if (c === COMMA || c === COLON) {
      if (container) container.atKey = c === COMMA;
      at++;
    } else if (isNumberStart(c)) {
      at = numberEnd(text, at);
    } else {
      at++;
    }
  }
}

function closingQuote(text: string, start: number): number {
  for (let at = start + 1; at < text.length; at++) {
    const c = text.charCodeAt(at);
    if (c === QUOTE) return at;
    if (c === BACKSLASH) at++;
  }
  throw malformed('The body is not valid JSON.');
}

/** Unescaped, because "\u005f_proto__" is the same key. Postgres text cannot hold U+0000, nor UTF-8 a lone surrogate. */
function stringValue(text: string, start: number, end: number): string {
  const raw = text.slice(start + 1, end);
  if (!raw.includes('\\')) return raw;
  const value = parsed(text.slice(start, end + 1)) as string;
  if (value.includes('\0') || !value.isWellFormed()) {
    throw malformed('The body holds a character that cannot be stored.');
  }
  return value;
}

const isNumberStart = (c: number) => c === 0x2d || (c >= 0x30 && c <= 0x39);
const isNumberPart = (c: number) => isNumberStart(c) || c === 0x2b || c === 0x2e || c === 0x45 || c === 0x65;

/** Long numbers lose digits silently and 1e400 becomes Infinity: neither arrives as it was sent. */
function numberEnd(text: string, start: number): number {
  let end = start + 1;
  while (end < text.length && isNumberPart(text.charCodeAt(end))) {
    if (++end - start > MAX_NUMBER) throw malformed('The body has a number that is too long.');
  }
  if (!Number.isFinite(Number(text.slice(start, end))))
    throw malformed('The body has a number out of range.');
  return end;
}

/** JSON.parse with our error; the built-in message quotes the text. */
export function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw malformed('The body is not valid JSON.');
  }
}

export const malformed = (detail: string) => new Problem('malformed_body', { detail });
