/** Who may see credentials in clear: somebody who has just proven a second factor. One function, for the shared step-up to take its place. */
import type { LiveSession } from '../../../db/sessions.ts';
import type { Caller } from '../../http/request-context.ts';
import { Problem } from '../../kernel/problems.ts';

const MAX_AGE_S = 300;

/** @throws Problem factor_required without a second factor, step_up_required when its proof is too old (RFC 9470) */
export function requireFreshSecondFactor({ session }: Pick<LiveSession, 'session'>, { now }: Caller): void {
  if (session.acr !== 'aal2') throw new Problem('factor_required');
  if (now - session.authTime.getTime() <= MAX_AGE_S * 1000) return;
  throw new Problem('step_up_required', {
    headers: {
      'www-authenticate': `Bearer error="insufficient_user_authentication", acr_values="aal2", max_age="${MAX_AGE_S}"`,
    },
  });
}
