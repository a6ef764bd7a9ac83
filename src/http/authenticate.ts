/** Who is behind an access token, decided by the database on every request. A good signature alone authorises nothing. */
import type { FastifyRequest } from 'fastify';
import type { LiveSession } from '../../db/sessions.ts';
import { scopeOf } from '../../machines/login.ts';
import { Problem } from '../kernel/problems.ts';
import { bearerOf } from './request-context.ts';
import type { Services } from './services.ts';

/**
 * The live session and account behind the request, in one round trip.
 * @throws Problem unauthenticated, invalid_token, insufficient_scope, rate_limited
 */
export async function authenticate(
  request: FastifyRequest,
  s: Pick<Services, 'tokens' | 'sessions' | 'activity' | 'clock' | 'limits'>,
  scope?: string,
): Promise<LiveSession> {
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
  return live;
}
