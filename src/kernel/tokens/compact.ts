/**
 * The only serialisation read here: three canonical base64url parts and a header with exactly three members, before any
 * key is looked at. What a token claims about its own key (`jwk`, `jku`, `x5u`, `crit`, …) is never followed: any such
 * member is reason to refuse.
 */
import { z } from 'zod';

const MAX_LENGTH = 8192;
const COMPACT = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

const AccessTokenHeader = z.strictObject({
  alg: z.string(),
  kid: z.string().max(64),
  typ: z.literal('at+jwt'),
});

export type AccessTokenHeader = z.infer<typeof AccessTokenHeader>;

/** The header of a well-formed access token (RFC 9068 section 2.1). Throws on anything else. */
export function readHeader(token: string): AccessTokenHeader {
  if (token.length > MAX_LENGTH || !COMPACT.test(token)) throw new Error('not a compact JWS');
  const parts = token.split('.').map((part) => {
    const bytes = Buffer.from(part, 'base64url');
    // Unused trailing bits would give one signature several spellings.
    if (bytes.toString('base64url') !== part) throw new Error('not canonical base64url');
    return bytes;
  });
  return AccessTokenHeader.parse(JSON.parse(parts[0]!.toString()));
}
