/**
 * Where a sign-up stands whose stored snapshot is lost, judged by what the account itself says. Never higher than its
 * tier: what only the snapshot knew is asked for again.
 */
import { NEW_SIGNUP, type SignupContext } from './signup-context.ts';
import type { StoredSnapshot } from './upgrades.ts';

/** What is stored beside the flow; `account` is the flow's own, null while it has none. */
export type Known = {
  contactId: string;
  entry: SignupContext['entry'];
  account: {
    id: string;
    tier: 'UNVERIFIED' | 'LIMITED' | 'FULL';
    pinSet: boolean;
    profileComplete: boolean;
    /** The newest submitted document and how many there were; null without any. */
    kyc: { id: string; submissions: number } | null;
  } | null;
};

export type Repair =
  /** The flow goes on from here. */
  | { kind: 'resume'; state: string; snapshot: StoredSnapshot }
  /** The flow is over, and what it has reserved is free for the next one. */
  | { kind: 'anew' }
  /** The flow is over; nothing is missing without it. */
  | { kind: 'needless' };

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
