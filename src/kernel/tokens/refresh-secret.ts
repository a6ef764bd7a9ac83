/**
 * Refresh tokens are `id.secret`; the secret of every generation is derived from the session, so that a repeated
 * request gets the very same successor although stores keep only hashes. Nothing here may be logged.
 */
import { timingSafeEqual } from 'node:crypto';
import { hashToken } from '../crypto/flow-token.ts';
import { hmacSha256 } from '../crypto/hmac.ts';
import { decodeBase64url, uuidBytes, uuidOf } from '../crypto/opaque-id.ts';

export type ParsedRefresh = {
  sessionId: string;
  /** Rotations since sign-in. One lower than the session's current generation means reuse (RFC 9700 section 4.14). */
  generation: number;
  /** The whole text as presented. */
  token: string;
};

const ID_BYTES = 20;
const ID_LENGTH = 27;
const TOKEN_LENGTH = ID_LENGTH + 1 + 43;

/** The token of one generation. Throws a RangeError unless `generation` is a 32-bit unsigned integer. */
export function refreshTokenFor(key: Buffer, sessionId: string, generation: number): string {
  const id = Buffer.alloc(ID_BYTES);
  uuidBytes(sessionId).copy(id);
  id.writeUInt32BE(generation, 16);
  return `${id.toString('base64url')}.${hmacSha256(key, id).toString('base64url')}`;
}

/** Reads a well-formed token without judging it; null for any other length, alphabet or spelling. */
export function parseRefreshToken(text: string): ParsedRefresh | null {
  if (text.length !== TOKEN_LENGTH || text[ID_LENGTH] !== '.') return null;
  const id = decodeBase64url(text.slice(0, ID_LENGTH), ID_BYTES);
  const sessionId = id && uuidOf(id.subarray(0, 16));
  if (!id || !sessionId || !decodeBase64url(text.slice(ID_LENGTH + 1), 32)) return null;
  return { sessionId, generation: id.readUInt32BE(16), token: text };
}

/** Whether this server issued the token at all, in constant time. Says nothing about whether it is spent. */
export function authenticRefresh(key: Buffer, parsed: ParsedRefresh): boolean {
  const issued = Buffer.from(refreshTokenFor(key, parsed.sessionId, parsed.generation));
  const presented = Buffer.from(parsed.token);
  return issued.length === presented.length && timingSafeEqual(issued, presented);
}

/** What may be stored of a refresh token: SHA-256, 64 hex digits. */
export const refreshHash = hashToken;
