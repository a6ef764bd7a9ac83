/** Answers from outside become events here and nowhere else: KYC verdicts, risk verdicts, reviewers' decisions. */
import { birthDateOf } from '../../../db/profiles.ts';
import * as receipts from '../../../db/receipts.ts';
import type { Risk, SignupEvent } from '../../../machines/signup.ts';
import type { KycVerdict, RiskVerdict } from '../../adapters/ports.ts';
import { ageOn } from '../../adapters/risk-local.ts';
import { EventRefused, type SendContext } from '../../engine/engine.ts';
import { type Envelope, systemEnvelope } from '../../engine/records.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';

export type Taken = { accepted: boolean; duplicate: boolean };
export type Verdicts = ReturnType<typeof createVerdicts>;

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const NOT_TAKEN: Taken = { accepted: false, duplicate: false };

export function createVerdicts({
  db,
  engine,
  kyc,
  proofs,
  clock,
}: Pick<Services, 'db' | 'engine' | 'kyc' | 'proofs' | 'clock'>) {
  const context = (envelope: Envelope) => ({ now: clock.now(), envelope, deviceId: null });

  /** S7 looks at risk once more, with what is known of the person by now. */
  async function riskNow(view: FlowView, phone: string | null, now: number): Promise<Risk> {
    const birthDate = view.accountId ? await birthDateOf(db, view.accountId) : null;
    const codeRetries = Number(view.context.codeRetries ?? 0);
    return proofs.risk({ age: ageOn(birthDate, now), codeRetries, phone }, now);
  }

  async function kycEvent(
    verdict: KycVerdict,
    view: FlowView,
    phone: string | null,
    now: number,
  ): Promise<SignupEvent> {
    const base = {
      now,
      kycId: verdict.applicantId,
      sequence: verdict.sequence,
      reason: verdict.reason,
      by: 'provider',
    };
    switch (verdict.decision) {
      case 'APPROVED':
        // One document verifies one account (a unique index holds the line; this makes it an answer).
        if (await kyc.takenByAnother(verdict.applicantId)) {
          return { type: 'KYC_REJECTED', ...base, reason: 'document_in_use', retryable: false };
        }
        return { type: 'KYC_APPROVED', ...base, risk: await riskNow(view, phone, now) };
      case 'REJECTED':
        return { type: 'KYC_REJECTED', ...base, retryable: verdict.retryable };
      case 'REVIEW':
        return { type: 'KYC_REVIEW_REQUIRED', ...base };
      case 'REVOKED':
        return { type: 'KYC_REVOKED', ...base, retryable: true };
    }
  }

  return {
    /** Takes a KYC verdict once. Unknown applicants, stale sequences and repeats change nothing and are no error. */
    async kycVerdict(verdict: KycVerdict, envelope: Envelope): Promise<Taken> {
      if (!UUID.test(verdict.applicantId)) return NOT_TAKEN;
      const record = await kyc.byId(verdict.applicantId);
      if (!record) return NOT_TAKEN;
      const receiptId = `kyc:${verdict.eventId}`;
      if (await receipts.taken(db, receiptId)) return { accepted: false, duplicate: true };
      try {
        await engine.send(
          'signup',
          { id: record.flowId },
          async (loaded, view) => ({
            event: await kycEvent(verdict, view, loaded.contact?.canonical ?? null, clock.now()),
            enclosures: { receiptId },
          }),
          context(envelope),
        );
        return { accepted: true, duplicate: false };
      } catch (error) {
        if (error instanceof EventRefused) return NOT_TAKEN;
        if (!(error instanceof Problem)) throw error;
        // A blocked account never advances; telling the provider to try again would not change that.
        if (error.code === 'account_blocked') return NOT_TAKEN;
        // Beside its own twin it lost; beside any other change of the account it must come again.
        if (error.code === 'conflict' && (await receipts.taken(db, receiptId)))
          return { accepted: false, duplicate: true };
        throw error;
      }
    },

    /** The external risk provider's verdict on a flow that waits for it. */
    async riskVerdict(flowId: string, stage: 'signup' | 'kyc', verdict: RiskVerdict): Promise<void> {
      const now = clock.now();
      try {
        await engine.send(
          'signup',
          { id: flowId },
          async (_loaded, view) => {
            const kycId = (view.context.kyc as { id: string } | null)?.id;
            // The document may have verified another account while this verdict was on its way.
            const taken = stage === 'kyc' && kycId !== undefined && (await kyc.takenByAnother(kycId));
            const risk: Risk = taken
              ? { decision: 'BLOCK', reasons: ['document_in_use'], at: now }
              : { ...verdict, at: now };
            return { event: { type: 'RISK_EVALUATED', now, stage, risk } };
          },
          context(systemEnvelope('provider')),
        );
      } catch (error) {
        // The flow has moved on by itself: nothing waits for this verdict any more.
        if (!(error instanceof EventRefused)) throw error;
      }
    },

    /** A reviewer settles a risk or KYC review. */
    review: (
      flowId: string,
      decision: { approve: boolean; reviewer: string; reason: string },
      { envelope, idempotency = null }: Pick<SendContext, 'envelope' | 'idempotency'>,
    ) =>
      engine.send(
        'signup',
        { id: flowId },
        () => ({ event: { type: 'REVIEW_DECIDED', now: clock.now(), ...decision } }),
        { ...context(envelope), idempotency },
      ),
  };
}
