/** Changes an account outside any lifecycle, with the audit and outbox rows of the change, in one statement. */
import type { Database } from '../../db/client.ts';
import {
  type AccountChange,
  type Changes,
  commit,
  newChangeSet,
  type WriteFragment,
} from '../../db/commit.ts';
import { VersionConflict } from '../../db/driver/conflicts.ts';
import type { LiveShare } from '../../db/trading-shares.ts';
import type { Notice } from '../../machines/effects.ts';
import { uuidv7 } from '../kernel/crypto/uuid7.ts';
import { Problem } from '../kernel/problems.ts';
import type { SendContext } from './engine.ts';
import { alreadyCommitted, reservationOf, settled, unlessTakenOver } from './keyed-run.ts';
import {
  accountChange,
  endSessions,
  endShares,
  notifyOwner,
  publish,
  type RecordContext,
} from './records.ts';

type AccountEvent = {
  type: string;
  outcome?: 'success' | 'failure';
  reason?: string;
  sessionId?: string;
  tradingAccountId?: string;
};

export type AccountEdit = {
  /** As read; the edit is void when the account has moved on since. */
  account: { id: string; eventSeq: number };
  parts: WriteFragment[];
  patch?: AccountChange['patch'];
  /** Every live session of the account, or all but one, ends by it. */
  endSessions?: { reason: string; except?: string };
  /** Published and audited. */
  event: AccountEvent;
  /** More of the same commit, of this account or of others as they were read. */
  also?: readonly { account: { id: string; eventSeq: number }; event: AccountEvent }[];
  /** Shares of trading accounts that end by it. */
  endShares?: { shares: readonly LiveShare[]; reason: string };
  /** The message to every address and number of the owner. */
  notice?: Notice;
};

/** Answers with how many sessions it ended. @throws Problem conflict when the account changed meanwhile: the caller may repeat. */
export async function commitAccount(
  deps: { db: Database; onCommit: (changes: Changes) => void },
  { account, parts, patch, endSessions: ends, event, also = [], endShares: over, notice }: AccountEdit,
  context: SendContext,
): Promise<{ sessionsEnded: number }> {
  if (alreadyCommitted(context)) return { sessionsEnded: 0 };
  const changes = newChangeSet(new Date(context.now), { reservation: reservationOf(context) });
  const record = ({ eventSeq }: { eventSeq: number } = account): RecordContext => ({
    id: `account:${uuidv7()}`,
    flowId: null,
    envelope: context.envelope,
    changes,
    seqOf: () => eventSeq,
  });
  changes.rows.push(...parts);
  Object.assign(accountChange(record(), account.id).patch, patch);
  publish(record(), { accountId: account.id, ...event });
  for (const { account: other, event: theirs } of also)
    publish(record(other), { accountId: other.id, ...theirs });
  if (over) endShares(record(), over.shares, over.reason);
  if (notice) notifyOwner(record(), { accountId: account.id, template: notice });
  if (ends) endSessions(record(), { accountId: account.id, ...ends });
  try {
    const committed = await commit(deps.db.writes, changes);
    settled(context);
    deps.onCommit(changes);
    return committed;
  } catch (error) {
    const cause = await unlessTakenOver(deps.db, context, error);
    throw cause instanceof VersionConflict ? new Problem('conflict', {}, { cause }) : cause;
  }
}
