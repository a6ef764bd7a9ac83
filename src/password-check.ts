/** The present password of somebody signed in, under a durable throttle of its own. Every sensitive change asks for it. */

import { execute } from '../db/statement.ts';
import * as throttles from '../db/throttles.ts';
import { Problem } from './problems.ts';
import type { Caller } from './request-context.ts';
import type { Services } from './services.ts';

/**
 * What was checked, to be compared again in the commit that follows.
 * @throws Problem invalid_credentials, rate_limited, overloaded
 */
export async function requirePassword(
  s: Pick<Services, 'users' | 'hasher' | 'config' | 'db' | 'limits'>,
  accountId: string,
  password: string,
  caller: Caller,
): Promise<{ passwordHash: string; eventSeq: number }> {
  const now = new Date(caller.now);
  const window = { key: `password:${accountId}`, ...s.config.limits.passwordLogin };
  await s.limits.secondFactor({ network: caller.network });
  // Counted before the comparison, so that parallel guesses cannot share one place.
  await execute(s.db.writes, [throttles.count([window], now)]);
  const known = await s.users.secretsOf(accountId, now);
  if (!known) throw new Problem('invalid_token');
  if (known.failures > window.limit) {
    throw new Problem('rate_limited', { retryAfter: Math.ceil(window.windowMs / 1000) });
  }
  const matches = await s.hasher.verify(known.passwordHash, password);
  if (!matches || known.passwordHash === null) throw new Problem('invalid_credentials');
  await execute(s.db.writes, [throttles.reset(window.key)]);
  return { passwordHash: known.passwordHash, eventSeq: known.eventSeq };
}
