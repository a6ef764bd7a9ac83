/** Rows every change leaves behind: one audit row, one outbox row, one patch per account. Pure; nothing is sent here. */

import type { AccountChange, AuditRow, Changes } from '../../db/commit.ts';
import * as notices from '../../db/notices.ts';
import { endAll } from '../../db/sessions.ts';
import * as throttles from '../../db/throttles.ts';
import { end, type LiveShare } from '../../db/trading-shares.ts';
import type { Notice } from '../../machines/effects.ts';
import { uuidv7 } from '../kernel/crypto/uuid7.ts';

/** Who asks, for the record. Never decides anything. */
export type Envelope = {
  actor: 'client' | 'provider' | 'reviewer' | 'system';
  requestId: string | null;
  network: string | null;
  userAgent: string | null;
  country: string | null;
  /** The best of our languages that the caller accepts; messages that follow are written in it. Null: not said. */
  language: string | null;
};

/** For steps that no request causes: what a provider answers, what runs out. */
export const systemEnvelope = (actor: Envelope['actor'], requestId: string | null = null): Envelope => ({
  actor,
  requestId,
  network: null,
  userAgent: null,
  country: null,
  language: null,
});

export type RecordContext = {
  /** Id of the outbox row; deterministic for an effect: `flow:version:index`. */
  id: string;
  flowId: string | null;
  envelope: Envelope;
  changes: Changes;
  /** `event_seq` of accounts read for this decision. */
  seqOf(accountId: string): number;
};

/** The one change of an account in this commit, made at first use. */
export function accountChange(r: RecordContext, id: string): AccountChange {
  const known = r.changes.accounts.get(id);
  if (known) return known;
  const change: AccountChange = { insert: null, patch: {}, expectedSeq: r.seqOf(id), events: 0 };
  r.changes.accounts.set(id, change);
  return change;
}

/** Records every session of the account that ends by this commit; how many there are is known once it is written. */
export function recordSessionEnds(r: RecordContext, accountId: string, reason: string): AccountChange {
  const change = accountChange(r, accountId);
  const { actor, requestId } = r.envelope;
  r.changes.unlisted = true;
  change.ends = { at: r.changes.now, reason, auditId: uuidv7(), accountId, actor, requestId };
  return change;
}

/** Every live session of the account ends, or all but one. */
export function endSessions(
  r: RecordContext,
  { accountId, reason, except }: { accountId: string; reason: string; except?: string | undefined },
): void {
  recordSessionEnds(r, accountId, reason);
  r.changes.before.push(endAll(accountId, reason, r.changes.now, except));
}

/** One message to each place the owner of the account reads. */
export function notifyOwner(
  r: RecordContext,
  { linkTo = [], ...notice }: { accountId: string; template: Notice; linkTo?: string[] },
): void {
  r.changes.unlisted = true;
  r.changes.rows.push(
    notices.notifyOwner({
      ...{ id: r.id, flowId: r.flowId, now: r.changes.now, language: r.envelope.language, linkTo },
      ...notice,
    }),
  );
}

/** A wrong answer to a factor. The one that fills the window sends the owner a notice: the factor takes no answer for a while. */
export function countFactorFailure(
  r: RecordContext,
  rules: { factorWindow(accountId: string, factorId: string): throttles.Window },
  { accountId, factorId, failures }: { accountId: string; factorId: string; failures: number },
): void {
  const window = rules.factorWindow(accountId, factorId);
  r.changes.rows.push(throttles.countNext(window, failures, r.changes.now));
  if (failures + 1 === window.limit) notifyOwner(r, { accountId, template: 'factor_waiting' });
}

/** A message to a person, in the language of the request that causes it. */
export function enqueueMessage(
  r: RecordContext,
  topic: 'code.send' | 'mail.send',
  payload: Record<string, unknown>,
): void {
  const { language } = r.envelope;
  enqueue(r, topic, null, language === null ? payload : { ...payload, language });
}

/** With an account the row takes its next place in that account's order. */
export function enqueue(
  r: RecordContext,
  topic: string,
  accountId: string | null,
  payload: Record<string, unknown>,
): void {
  let accountSeq: number | null = null;
  if (accountId) {
    const change = accountChange(r, accountId);
    change.events += 1;
    accountSeq = change.expectedSeq + change.events;
  }
  r.changes.outbox.push({
    id: r.id,
    topic,
    accountId,
    accountSeq,
    flowId: r.flowId,
    payload,
    status: 'pending',
    dueAt: r.changes.now,
    createdAt: r.changes.now,
  });
}

export type AuditEntry = {
  type: string;
  accountId: string | null;
  outcome?: 'success' | 'failure';
  reason?: string | null;
  sessionId?: string | null;
  /** The trading account it is about. */
  tradingAccountId?: string | undefined;
};

/** One row of the audit; `data` holds ids and verdicts, never an identifier in clear. */
export const auditRow = (
  entry: AuditEntry & { data?: Record<string, unknown> },
  { envelope, at, flowId }: { envelope: Envelope; at: Date; flowId: string | null },
): AuditRow => ({
  id: uuidv7(),
  at,
  type: entry.type,
  outcome: entry.outcome ?? 'success',
  reason: entry.reason ?? null,
  accountId: entry.accountId,
  actor: envelope.actor,
  flowId,
  sessionId: entry.sessionId ?? null,
  network: envelope.network,
  userAgent: envelope.userAgent,
  requestId: envelope.requestId,
  data: entry.data ?? null,
});

export function recordAudit(r: RecordContext, { tradingAccountId, ...entry }: AuditEntry): void {
  const data = tradingAccountId === undefined ? {} : { data: { trading_account_id: tradingAccountId } };
  r.changes.audit.push(
    auditRow({ ...entry, ...data }, { envelope: r.envelope, at: r.changes.now, flowId: r.flowId }),
  );
}

/** One audit row, and one event of the same type in the order of the account. */
export function publish(r: RecordContext, entry: AuditEntry): void {
  recordAudit(r, entry);
  const { type, accountId, outcome = 'success', reason = null, tradingAccountId } = entry;
  enqueue(r, 'event', accountId, {
    type,
    outcome,
    reason,
    ...(tradingAccountId === undefined ? {} : { trading_account_id: tradingAccountId }),
  });
}

/** Ends shares of a trading account and publishes an event in the account of each member. */
export function endShares(r: RecordContext, shares: readonly LiveShare[], reason: string): void {
  if (shares.length === 0) return;
  r.changes.rows.push(
    end(
      shares.map(({ id }) => id),
      reason,
      r.changes.now,
    ),
  );
  shares.forEach(({ memberId, memberSeq, tradingAccountId }, index) => {
    const seqOf = (id: string) => (id === memberId ? memberSeq : r.seqOf(id));
    publish(
      { ...r, id: `${r.id}:${index}`, seqOf },
      {
        type: 'trading_account.share_ended',
        accountId: memberId,
        reason,
        tradingAccountId,
      },
    );
  });
}
