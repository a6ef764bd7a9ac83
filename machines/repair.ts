/**
 * Where a sign-up stands whose stored snapshot is lost, judged by what the account itself says. Never higher than its
 * tier: what only the snapshot knew is asked for again.
 */
import type { Known, Repair } from './module.ts';
import { NEW_SIGNUP, type SignupContext } from './signup-context.ts';

export function repairSignup({ contactId, entry, account }: Known): Repair {
  if (account === null || account.tier === 'UNVERIFIED') return { kind: 'anew' };
  if (account.tier === 'FULL') return { kind: 'needless' };
  const { id: accountId, pinSet, profileComplete, kyc } = account;
  return {
    kind: 'resume',
    state: 'LIMITED.kyc_none',
    snapshot: {
      value: { LIMITED: 'kyc_none' },
      context: {
        ...NEW_SIGNUP,
        entry,
        contactId,
        accountId,
        pinSet,
        profileComplete,
        // Documents stay counted; a verdict on an earlier one moves nothing before the next is submitted.
        kyc: kyc && { ...kyc, sequence: 0 },
      } satisfies SignupContext,
      status: 'active',
    },
  };
}
