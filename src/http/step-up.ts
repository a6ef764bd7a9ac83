/**
 * Step-up (RFC 9470): what a sensitive change asks of a person who is signed in, in one place. With a second factor enrolled,
 * a proof of both factors within five minutes; without, a proof of the first. A documented `password` in the body is such
 * a first proof. Nothing here ever raises what a session was opened with.
 */
import type { StoredFactor } from '../../db/factors.ts';
import { scopeOf } from '../../machines/login.ts';
import type { TypedCode } from '../kernel/crypto/typed-code.ts';
import { Problem } from '../kernel/problems.ts';
import type { Authenticated } from './authenticate.ts';
import { type Checked, checkPassword, requirePassword, secretsOf } from './reauthentication.ts';
import type { Caller } from './request-context.ts';
import type { Services } from './services.ts';

/** How long a proof speaks for the owner. */
const STEP_UP_MAX_AGE_S = 300;

type Needs = Pick<Services, 'users' | 'hasher' | 'config' | 'db' | 'limits'>;
type Acr = 'aal1' | 'aal2';

const DETAIL: Record<Acr, string> = {
  aal1: 'Prove the password again (in the body where the route takes one, or by a step-up), or log in again; then repeat this within five minutes.',
  aal2: 'Prove the second factor by a step-up; then repeat this with the token it gives within five minutes.',
};

/** The answer that says which proof is missing, and where to give it. */
const stepUpNeeded = (acr: Acr): Problem =>
  new Problem('step_up_required', {
    detail: DETAIL[acr],
    headers: {
      'www-authenticate': `Bearer error="insufficient_user_authentication", error_description="A more recent or stronger proof is needed", acr_values="${acr}", max_age="${STEP_UP_MAX_AGE_S}"`,
    },
    members: { acr_values: acr, max_age: STEP_UP_MAX_AGE_S },
    next: [{ event: 'STEP_UP', method: 'POST', href: '/v1/auth/step-up', schema: 'SessionStepUp' }],
  });

const isFresh = ({ proof }: Pick<Authenticated, 'proof'>, { now }: Pick<Caller, 'now'>): boolean =>
  now - proof.authTime <= STEP_UP_MAX_AGE_S * 1000;

/** For routes whose contract has a proof of the first factor of its own. @throws Problem step_up_required */
export function requireSecondFactor(live: Authenticated, caller: Pick<Caller, 'now'>): void {
  if (live.mfa && !(live.proof.acr === 'aal2' && isFresh(live, caller))) throw stepUpNeeded('aal2');
}

/**
 * Lets the owner pass, freshly proven. What it read is to be compared again in the commit that follows.
 * @throws Problem step_up_required, invalid_credentials, rate_limited, overloaded
 */
export async function requireStepUp(
  s: Needs,
  live: Authenticated,
  { password }: { password?: string | undefined },
  caller: Caller,
): Promise<Checked> {
  const { account } = live;
  const fresh = isFresh(live, caller);
  requireSecondFactor(live, caller);
  const checked =
    password === undefined
      ? await secretsOf(s, account.id, caller)
      : await checkPassword(s, account.id, password, caller);
  const proven = password !== undefined && checked.passwordHash !== null;
  if (!fresh && !proven) throw stepUpNeeded('aal1');
  return checked;
}

/**
 * Lets the owner pass who proves both factors in this very request: the password where the account has one, and a code;
 * a token that has just been stepped up stands for the code.
 * @throws Problem validation_failed, step_up_required, invalid_credentials, invalid_code, rate_limited, overloaded, conflict
 */
export async function requireBothFactors(
  s: Needs & Pick<Services, 'checkFactor'>,
  live: Authenticated,
  { password, code }: { password: string | undefined; code: TypedCode | undefined },
  caller: Caller,
): Promise<void> {
  const { account, session, proof } = live;
  const fresh = isFresh(live, caller);
  if (code === undefined && !(proof.acr === 'aal2' && fresh)) throw stepUpNeeded('aal2');
  if (password !== undefined) await requirePassword(s, account.id, password, caller);
  else if ((await secretsOf(s, account.id, caller)).passwordHash !== null) {
    const error = { pointer: '/body/password', code: 'required', message: 'is required' };
    throw new Problem('validation_failed', { errors: [error] });
  } else if (!fresh) throw stepUpNeeded('aal1');
  if (code !== undefined) {
    await s.limits.secondFactor({ network: caller.network });
    await s.checkFactor({ accountId: account.id, sessionId: session.id, code }, caller);
  }
}

/** An access token of the same session that says what has just been proven; the session and its refresh say what they did. */
export async function steppedUp(
  s: Pick<Services, 'tokens'>,
  { account, session, proof }: Authenticated,
  by: { factor: Pick<StoredFactor, 'kind'> | null; amr: readonly string[] },
  caller: Caller,
) {
  if (account.tier === 'UNVERIFIED') throw new Problem('insufficient_scope');
  const acr: Acr = by.factor === null ? 'aal1' : 'aal2';
  const amr = [
    ...new Set([...(acr === 'aal2' ? proof.amr : []), ...by.amr, ...(acr === 'aal2' ? ['mfa'] : [])]),
  ];
  const { token, expiresIn } = await s.tokens.issueAccessToken({
    accountId: account.id,
    sessionId: session.id,
    tier: account.tier,
    scope: scopeOf(account.tier),
    roles: account.roles,
    acr,
    amr,
    authTime: caller.now,
    mfa: acr === 'aal2',
  });
  return {
    verified: true as const,
    verification_token: token,
    token_type: 'Bearer' as const,
    expires_in: expiresIn,
    acr,
    amr,
    auth_time: Math.floor(caller.now / 1000),
    max_age: STEP_UP_MAX_AGE_S,
  };
}
