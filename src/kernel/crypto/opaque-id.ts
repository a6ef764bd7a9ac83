/** Strict base64url for opaque handles: one value has exactly one spelling, so a handle can never have a twin. */
import { parse, validate } from 'uuid';

/** The bytes of canonical base64url text (RFC 4648 section 5), or null for any other spelling or length. */
export function decodeBase64url(text: string, length: number): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.length === length && bytes.toString('base64url') === text ? bytes : null;
}

/** The 16 bytes of a UUID. Throws a TypeError when it is none. */
export const uuidBytes = (id: string): Buffer => Buffer.from(parse(id));

/** The lower-case UUID of 16 bytes, or null when its version or variant is not one of RFC 9562. */
export function uuidOf(bytes: Uint8Array): string | null {
  const text = Buffer.from(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return validate(text) ? text : null;
}
