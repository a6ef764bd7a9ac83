/** The present password of a person who is signed in, under a durable throttle of its own. Sensitive changes ask `step-up.ts`. */
import { counterKey } from '../../db/counter-keys.ts';
import * as throttles from '../../db/throttles.ts';
import { Problem } from '../kernel/problems.ts';
import type { Caller } from './request-context.ts';
import type { Services } from './services.ts';

type Needs = Pick<Services, 'users' | 'hasher' | 'config' | 'db' | 'limits'>;
/** What was checked, to be compared again in the commit that follows. */
export type Checked = { passwordHash: string | null; passwordVersion: number; eventSeq: number };

/**
 * The password itself; an account without one cannot pass.
 * @throws Problem invalid_credentials, rate_limited, overloaded
 */
export async function requirePassword(
  s: Needs,
  accountId: string,
  password: string,
  caller: Caller,
): Promise<Checked & { passwordHash: string }> {
  const { passwordHash, ...checked } = await checkPassword(s, accountId, password, caller);
  if (passwordHash === null) throw new Problem('invalid_credentials');
  return { ...checked, passwordHash };
}

export async function secretsOf(s: Pick<Needs, 'users'>, accountId: string, { now }: Caller) {
  const known = await s.users.secretsOf(accountId, new Date(now));
  if (!known) throw new Problem('invalid_token');
  return known;
}

/** The password is right, or the account has none: then the calling code decides. @throws Problem invalid_credentials, rate_limited */
export async function checkPassword(
  s: Needs,
  accountId: string,
  password: string,
  caller: Caller,
): Promise<Checked> {
  const window = { key: counterKey.password(accountId), ...s.config.limits.passwordLogin };
  await s.limits.secondFactor({ network: caller.network });
  // Counted before the comparison, so that parallel guesses cannot share one place.
  await throttles.countNow(s.db, [window], new Date(caller.now));
  const known = await secretsOf(s, accountId, caller);
  if (known.failures > window.limit) {
    throw new Problem('rate_limited', { retryAfter: Math.ceil(window.windowMs / 1000) });
  }
  const matches = await s.hasher.verify(known.passwordHash, password, accountId);
  if (!matches && known.passwordHash !== null) throw new Problem('invalid_credentials');
  await throttles.resetNow(s.db, window.key);
  return known;
}
