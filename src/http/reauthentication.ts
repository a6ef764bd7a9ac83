/**
 * Whether somebody signed in is the owner: the present password, under a durable throttle of its own, or a login just
 * now where there is none. Every sensitive change asks for it.
 */
import { counterKey } from '../../db/counter-keys.ts';
import type { LiveSession } from '../../db/sessions.ts';
import * as throttles from '../../db/throttles.ts';
import { Problem } from '../kernel/problems.ts';
import type { Caller } from './request-context.ts';
import type { Services } from './services.ts';

/** How long a login speaks for the owner of an account without a password. */
const FRESH_MS = 5 * 60_000;

type Needs = Pick<Services, 'users' | 'hasher' | 'config' | 'db' | 'limits'>;
/** What was checked, to be compared again in the commit that follows. */
type Checked = { passwordHash: string | null; eventSeq: number };

/**
 * A password where the account has one, else a login within the last minutes.
 * @throws Problem validation_failed when a password is needed and missing, step_up_required when a login is, and as
 *   `requirePassword`
 */
export async function requireOwner(
  s: Needs,
  { account, session }: Pick<LiveSession, 'account' | 'session'>,
  /** `pointer`: the field the password belongs in. */
  { password, pointer }: { password: string | undefined; pointer: string },
  caller: Caller,
): Promise<Checked> {
  if (password === undefined) await s.limits.secondFactor({ network: caller.network });
  const checked =
    password === undefined
      ? await secretsOf(s, account.id, caller)
      : await compared(s, account.id, password, caller);
  if (checked.passwordHash === null) {
    if (caller.now - session.authTime.getTime() > FRESH_MS)
      throw new Problem('step_up_required', {
        detail: 'Log in again, then repeat this within five minutes.',
      });
  } else if (password === undefined) {
    const error = { pointer, code: 'required', message: 'is required' };
    throw new Problem('validation_failed', { errors: [error] });
  }
  return checked;
}

/**
 * The password itself; an account without one cannot pass.
 * @throws Problem invalid_credentials, rate_limited, overloaded
 */
export async function requirePassword(
  s: Needs,
  accountId: string,
  password: string,
  caller: Caller,
): Promise<{ passwordHash: string; eventSeq: number }> {
  const { passwordHash, eventSeq } = await compared(s, accountId, password, caller);
  if (passwordHash === null) throw new Problem('invalid_credentials');
  return { passwordHash, eventSeq };
}

async function secretsOf(s: Needs, accountId: string, { now }: Caller) {
  const known = await s.users.secretsOf(accountId, new Date(now));
  if (!known) throw new Problem('invalid_token');
  return known;
}

/** Right, or there is nothing to compare with: then whoever asks decides. */
async function compared(s: Needs, accountId: string, password: string, caller: Caller): Promise<Checked> {
  const window = { key: counterKey.password(accountId), ...s.config.limits.passwordLogin };
  await s.limits.secondFactor({ network: caller.network });
  // Counted before the comparison, so that parallel guesses cannot share one place.
  await throttles.countNow(s.db, [window], new Date(caller.now));
  const known = await secretsOf(s, accountId, caller);
  if (known.failures > window.limit) {
    throw new Problem('rate_limited', { retryAfter: Math.ceil(window.windowMs / 1000) });
  }
  const matches = await s.hasher.verify(known.passwordHash, password);
  if (!matches && known.passwordHash !== null) throw new Problem('invalid_credentials');
  await throttles.resetNow(s.db, window.key);
  return known;
}
