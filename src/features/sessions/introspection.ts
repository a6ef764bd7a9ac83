/** What a token is worth now, for services that cannot verify offline (RFC 7662). It changes nothing. */

import { scopeOf } from '../../../machines/login.ts';
import { proofOf } from '../../http/authenticate.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import type { Refresh } from './refresh.ts';

const INACTIVE = { active: false } as const;
const seconds = (ms: number) => Math.floor(ms / 1000);

type Parts = Pick<Services, 'config' | 'tokens' | 'sessions' | 'clock'> & { refresh: Refresh };

/** Scope, tier and roles are those of now. A token of a higher tier than the account still has is worth nothing. */
async function accessToken(token: string, { tokens, sessions, clock }: Parts) {
  const claims = await tokens.verifyAccessToken(token).catch((error) => {
    if (error instanceof Problem) return null;
    throw error;
  });
  const live = claims && (await sessions.live(claims.sid, new Date(clock.now())));
  if (!claims || !live || claims.sub !== `user:${live.account.id}`) return INACTIVE;
  const { tier, roles } = live.account;
  if (tier === 'UNVERIFIED' || (claims.tier === 'FULL' && tier !== 'FULL')) return INACTIVE;
  const proof = proofOf(live, { ...claims, authTime: claims.auth_time * 1000 });
  const { ver: _ver, mfa: _mfa, ...shown } = claims;
  return {
    active: true,
    token_type: 'Bearer' as const,
    token_use: 'access_token' as const,
    ...shown,
    acr: proof.acr,
    amr: [...proof.amr],
    tier,
    roles,
    scope: scopeOf(tier).join(' '),
  };
}

async function refreshToken(token: string, { config, refresh, clock }: Parts) {
  const current = await refresh.current(token, new Date(clock.now()));
  if (!current) return INACTIVE;
  const { sessionId, family } = current;
  return {
    active: true,
    token_use: 'refresh_token' as const,
    sub: `user:${family.accountId}`,
    client_id: config.jwt.clientId,
    sid: sessionId,
    iat: seconds(family.rotatedAt),
    exp: seconds(Math.min(family.expiresAt, family.idleExpiresAt)),
    tier: family.tier,
    scope: scopeOf(family.tier).join(' '),
  };
}

/** A JWT has two dots, a refresh token one: no hint is needed, and a wrong one does not mislead. */
export const introspect = (token: string, parts: Parts) =>
  token.split('.').length === 3 ? accessToken(token, parts) : refreshToken(token, parts);
