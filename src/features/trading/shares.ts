/**
 * Sharing of a trading account: invited, accepted, ended. An act that concerns two people is one commit with an event
 * for each of them. Only the owner ever sees a credential.
 */
import * as shares from '../../../db/trading-shares.ts';
import { systemEnvelope } from '../../engine/records.ts';
import { type Caller, mint } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';

const HOUR_MS = 3_600_000;
/** Shares and invitations of one trading account. */
const MOST = 20;
const SWEEP_BATCH = 100;

type Account = { id: string; eventSeq: number };
type Shared = NonNullable<Awaited<ReturnType<Services['tradingShares']['byId']>>>;

export function createShares(s: Services) {
  /** @throws Problem not_found */
  async function account(id: string): Promise<Account> {
    const found = await s.users.activeAccount(id);
    if (!found) throw new Problem('not_found');
    return found;
  }

  return {
    /** @throws Problem not_found for an unknown person, conflict for one who has it already */
    async invite(
      tradingAccountId: string,
      owner: Account,
      given: { memberId: string; access: shares.ShareAccess; hours: number; accessUntil: Date | null },
      caller: Caller,
    ): Promise<{ id: string; expiresAt: Date }> {
      const now = new Date(caller.now);
      const { memberId, access, accessUntil } = given;
      if (memberId === owner.id) throw new Problem('conflict', { detail: 'The account is yours already.' });
      if (accessUntil !== null && accessUntil <= now) {
        throw new Problem('validation_failed', {
          errors: [{ pointer: '/body/access_until', code: 'past', message: 'must be in the future' }],
        });
      }
      const member = await account(memberId);
      const known = await s.tradingShares.ofTradingAccount(tradingAccountId, now);
      if (known.some((share) => share.memberId === memberId))
        throw new Problem('conflict', { detail: 'This person is invited or a member already.' });
      if (known.length >= MOST)
        throw new Problem('conflict', { detail: `An account is shared with ${MOST} people at most.` });
      const id = mint();
      const expiresAt = new Date(caller.now + given.hours * HOUR_MS);
      await s.commitAccount(
        {
          account: owner,
          parts: shares.invite(
            { id, tradingAccountId, ownerId: owner.id, memberId, access, expiresAt, accessUntil },
            now,
          ),
          event: { type: 'trading_account.share_invited', tradingAccountId },
          also: [{ account: member, event: { type: 'trading_account.share_offered', tradingAccountId } }],
        },
        caller,
      );
      return { id, expiresAt };
    },

    /** @throws Problem not_found, conflict when it is over by the time of the commit */
    async accept(share: Shared, member: Account, caller: Caller): Promise<void> {
      const { tradingAccountId } = share;
      await s.commitAccount(
        {
          account: member,
          parts: [shares.accept(share.id, member.id, new Date(caller.now))],
          event: { type: 'trading_account.share_accepted', tradingAccountId },
          also: [
            {
              account: await account(share.ownerId),
              event: { type: 'trading_account.share_taken', tradingAccountId },
            },
          ],
        },
        caller,
      );
    },

    /** By the owner, or by the member; the other one may be blocked. */
    async end(share: Shared, by: Account, caller: Caller): Promise<void> {
      const { tradingAccountId, memberId, ownerId } = share;
      const leaves = by.id === memberId;
      const reason = leaves ? (share.status === 'invited' ? 'declined' : 'left') : 'revoked';
      const other = await s.tradingShares.party(leaves ? ownerId : memberId);
      if (!other) throw new Problem('not_found');
      const event = { type: 'trading_account.share_ended', reason, tradingAccountId };
      await s.commitAccount(
        {
          account: by,
          parts: [shares.end([share.id], reason, new Date(caller.now))],
          event,
          also: [{ account: other, event }],
        },
        caller,
      );
    },
  };
}

/** Ends what has run out, each in a commit of its own; what meets another commit is met again by the next run. */
export const shareSweep = (s: Services) => async (): Promise<void> => {
  const now = s.clock.now();
  for (const share of await s.tradingShares.overdue(new Date(now), SWEEP_BATCH)) {
    const { memberId: id, memberSeq: eventSeq, tradingAccountId } = share;
    await s
      .commitAccount(
        {
          account: { id, eventSeq },
          parts: [shares.end([share.id], 'expired', new Date(now))],
          event: { type: 'trading_account.share_ended', reason: 'expired', tradingAccountId },
        },
        { now, envelope: systemEnvelope('system'), deviceId: null },
      )
      .catch((error) => s.log.warn({ reason: (error as Error).message }, 'a share was not ended'));
  }
};
