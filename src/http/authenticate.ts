/** Who is behind an access token, decided by the database on every request. A good signature alone authorises nothing. */
import type { FastifyRequest } from 'fastify';
import type { LiveSession } from '../../db/sessions.ts';
import { scopeOf } from '../../machines/login.ts';
import { Problem } from '../kernel/problems.ts';
import { bearerOf } from './request-context.ts';
import type { Services } from './services.ts';

/** What a token or cookie proves about how its session was authenticated (RFC 9470). Milliseconds. */
export type SessionProof = { acr: 'aal1' | 'aal2'; amr: readonly string[]; authTime: number };
export type Authenticated = LiveSession & { proof: SessionProof };

/** A factor that came or went has made one factor of whatever was proven before. */
export function proofOf(
  { session }: Pick<LiveSession, 'session'>,
  shown: { acr: string; amr: readonly string[]; authTime: number } = {
    ...session,
    authTime: session.authTime.getTime(),
  },
): SessionProof {
  const stands = session.downgradedAt === null || shown.authTime > session.downgradedAt.getTime();
  return stands
    ? { acr: shown.acr === 'aal2' ? 'aal2' : 'aal1', amr: shown.amr, authTime: shown.authTime }
    : { acr: 'aal1', amr: shown.amr.filter((one) => one !== 'mfa'), authTime: shown.authTime };
}

/**
 * The live session and account behind the request, in one round trip.
 * @throws Problem unauthenticated, invalid_token, insufficient_scope, rate_limited
 */
export async function authenticate(
  request: FastifyRequest,
  s: Pick<Services, 'tokens' | 'sessions' | 'activity' | 'clock' | 'limits'>,
  scope?: string,
): Promise<Authenticated> {
  const token = bearerOf(request);
  if (token === null) throw new Problem('unauthenticated');
  const claims = await s.tokens.verifyAccessToken(token);
  const [live] = await Promise.all([
    s.sessions.live(claims.sid, new Date(s.clock.now())),
    s.limits.user({ accountId: claims.sub }),
  ]);
  if (!live || claims.sub !== `user:${live.account.id}`) throw new Problem('invalid_token');
  s.activity.used(live.session);
  // The tier in the database decides, whatever an older token still says.
  const granted = scopeOf(live.account.tier);
  if (scope && !granted.includes('*') && !granted.includes(scope)) throw new Problem('insufficient_scope');
  const { acr, amr, auth_time: authTime } = claims;
  return { ...live, proof: proofOf(live, { acr, amr, authTime: authTime * 1000 }) };
}
