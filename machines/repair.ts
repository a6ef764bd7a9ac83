/**
 * Where a sign-up stands whose stored snapshot is lost, judged by what the account itself says. Never higher than its
 * tier: what only the snapshot knew is asked for again.
 */
import type { Known, Repair } from './module.ts';

/** `fresh`: what a sign-up remembers that has just begun. */
export function repairSignup({ contactId, entry, account }: Known, fresh: Record<string, unknown>): Repair {
  if (account === null || account.tier === 'UNVERIFIED') return { kind: 'anew' };
  if (account.tier === 'FULL') return { kind: 'needless' };
  const { id: accountId, pinSet, profileComplete, kyc } = account;
  return {
    kind: 'resume',
    state: 'LIMITED.kyc_none',
    snapshot: {
      value: { LIMITED: 'kyc_none' },
      context: {
        ...fresh,
        entry,
        contactId,
        accountId,
        pinSet,
        profileComplete,
        // Documents stay counted; a verdict on an earlier one moves nothing before the next is submitted.
        kyc: kyc && { ...kyc, sequence: 0 },
      },
      status: 'active',
    },
  };
}
