/** Links that a mail carries: one limit for their use, and one answer for expired, used, foreign and malformed tokens. */
import { parseFlowToken } from '../kernel/crypto/flow-token.ts';
import { Problem } from '../kernel/problems.ts';
import type { Caller } from './request-context.ts';
import type { Services } from './services.ts';

/** What every token that cannot be used is answered. */
export const badLink = (): Problem => new Problem('invalid_code');

export type Link = {
  flowId: string;
  /** Runs `work`, and answers a refusal of the token like any other bad link. */
  alike<T>(work: () => Promise<T>): Promise<T>;
};

/** Takes a slot, malformed tokens included. @throws Problem invalid_code, rate_limited */
export async function openLink(
  s: Pick<Services, 'limits' | 'proofs'>,
  token: string,
  caller: Caller,
): Promise<Link> {
  const parsed = parseFlowToken(token);
  await s.limits.passwordReset({ identifier: parsed?.flowId ?? null, network: caller.network });
  if (!parsed) throw badLink();
  return {
    flowId: parsed.flowId,
    alike: (work) =>
      work().catch((error) => {
        throw error instanceof Problem && s.proofs.isTokenRefusal(error) ? badLink() : error;
      }),
  };
}
