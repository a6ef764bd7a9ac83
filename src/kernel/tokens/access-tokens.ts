/**
 * Issues and verifies access tokens (RFC 9068). The algorithm is the one of the key found under `kid` among our own
 * keys; nothing in a token chooses it. A verified token says nothing about revocation: code that accepts one still asks
 * whether its session lives.
 */
import { compactVerify, SignJWT } from 'jose';
import type { Clock } from '../clock.ts';
import { uuidv7 } from '../crypto/uuid7.ts';
import { Problem } from '../problems.ts';
import type { ActiveKeys } from './active-keys.ts';
import { audienceFor, type Claims, claimsSchema, type Tier } from './claims.ts';
import { readHeader } from './compact.ts';
import { remembered } from './remembered.ts';

export type TokensOptions = {
  issuer: string;
  audience: string;
  clientId: string;
  /** Seconds, at most 900. */
  accessTtlS: number;
  keys: () => ActiveKeys;
  clock: Clock;
  /** Verified tokens to remember. Default 10,000, about 10 MB. */
  rememberLimit?: number;
};

export type AccessGrant = {
  accountId: string;
  sessionId: string;
  tier: Tier;
  scope: readonly string[];
  roles: readonly string[];
  acr: string;
  amr: readonly string[];
  /** When the person last authenticated; milliseconds since the epoch. */
  authTime: number;
  mfa: boolean;
};

export interface Tokens {
  /** `expiresIn` in seconds. */
  issueAccessToken(grant: AccessGrant): Promise<{ token: string; expiresIn: number }>;
  /** The claims of a token of ours that is in force. Throws `invalid_token` for any other text. */
  verifyAccessToken(token: string): Promise<Claims>;
}

/** Clock difference tolerated between issuing and verifying machines. */
const LEEWAY_S = 30;

/** Throws a RangeError when `accessTtlS` is not between 1 and 900. */
export function createTokens(options: TokensOptions): Tokens {
  const { issuer, audience, clientId, accessTtlS, keys, clock, rememberLimit = 10_000 } = options;
  if (!Number.isInteger(accessTtlS) || accessTtlS < 1 || accessTtlS > 900)
    throw new RangeError('An access token lives between 1 and 900 seconds');
  const schema = claimsSchema({ issuer, audience, clientId });
  const verified = remembered<{ kid: string; claims: Claims }>(rememberLimit);

  const inForce = ({ exp, nbf }: Claims): boolean => {
    const now = clock.now() / 1000;
    return now < exp + LEEWAY_S && now >= nbf - LEEWAY_S;
  };

  async function verify(token: string): Promise<{ kid: string; claims: Claims }> {
    const header = readHeader(token);
    const key = keys().verifying.get(header.kid);
    if (key?.alg !== header.alg) throw new Error('no key of ours has this kid and algorithm');
    const { payload } = await compactVerify(token, key.publicKey, { algorithms: [key.alg] });
    const claims = schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload)));
    return { kid: header.kid, claims };
  }

  return {
    async issueAccessToken({ accountId, sessionId, tier, scope, authTime, ...grant }) {
      const { kid, alg, privateKey } = keys().signing;
      const now = clock.now();
      const iat = Math.floor(now / 1000);
      const claims: Claims = {
        iss: issuer,
        sub: `user:${accountId}`,
        aud: audienceFor(audience, tier),
        client_id: clientId,
        exp: iat + accessTtlS,
        iat,
        nbf: iat,
        jti: uuidv7(),
        sid: sessionId,
        acr: grant.acr,
        amr: grant.amr,
        auth_time: Math.floor(authTime / 1000),
        tier,
        scope: scope.join(' '),
        roles: grant.roles,
        mfa: grant.mfa,
        ver: 1,
      };
      const token = await new SignJWT(claims)
        .setProtectedHeader({ alg, kid, typ: 'at+jwt' })
        .sign(privateKey);
      return { token, expiresIn: accessTtlS };
    },

    async verifyAccessToken(token) {
      const known = verified.get(token);
      if (known && keys().verifying.has(known.kid) && inForce(known.claims)) return known.claims;
      verified.delete(token);
      try {
        const fresh = await verify(token);
        if (!inForce(fresh.claims)) throw new Error('expired or not yet valid');
        verified.set(token, fresh);
        return fresh.claims;
      } catch (cause) {
        throw new Problem('invalid_token', {}, { cause });
      }
    },
  };
}
