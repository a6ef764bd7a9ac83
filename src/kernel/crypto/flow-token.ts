/**
 * The secret a person carries through a flow. It is derived, so a lost answer can be repeated exactly; stores keep
 * only its hash. It must never appear in a log, an event or a query string.
 */
import { hash } from 'node:crypto';
import { hmacSha256 } from './hmac.ts';
import { decodeBase64url, uuidBytes, uuidOf } from './opaque-id.ts';

/** `id.secret`: 16 bytes of flow id and 32 of HMAC-SHA-256 over id and generation, each base64url. */
export function flowTokenFor(key: Buffer, flowId: string, generation: number): string {
  const id = uuidBytes(flowId);
  const secret = hmacSha256(key, Buffer.concat([id, Buffer.from(`/${generation}`)])).toString('base64url');
  return `${id.toString('base64url')}.${secret}`;
}

/** The two halves of a well-formed token; proves nothing yet. Null for any other text, length or alphabet. */
export function parseFlowToken(text: string): { flowId: string; secret: string } | null {
  if (text.length !== 66 || text[22] !== '.') return null;
  const id = decodeBase64url(text.slice(0, 22), 16);
  const secret = text.slice(23);
  const flowId = id && uuidOf(id);
  return flowId && decodeBase64url(secret, 32) ? { flowId, secret } : null;
}

/** What may be stored of a token: SHA-256 of its text, 64 hex digits. Enough, because a token holds 256 secret bits. */
export const hashToken = (text: string): string => hash('sha256', text);
