/** KYC over HTTP. Of a document number only the last four characters ever leave. */
import { z } from 'zod';
import { KYC_DOCUMENTS } from '../../adapters/ports.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import { flowFields, nextOf, type Offer } from '../../http/actions.ts';
import { pollAfter, pollField } from '../../http/waiting.ts';

const FORMATS = {
  PAN: /^[A-Z]{5}[0-9]{4}[A-Z]$/,
  AADHAAR: /^[0-9]{12}$/,
  PASSPORT: /^[A-Z][A-Z0-9]{5,8}$/,
} as const;

/** Spaces, hyphens and case as people type them do not matter. */
export const canonicalNumber = (number: string): string => number.replace(/[ -]/g, '').toUpperCase();

export const submitKycBody = z
  .strictObject({
    document_type: z.enum(KYC_DOCUMENTS),
    document_number: z
      .string()
      .min(4)
      .max(32)
      .regex(/^[A-Za-z0-9 -]+$/),
  })
  .refine((b) => FORMATS[b.document_type].test(canonicalNumber(b.document_number)), {
    path: ['document_number'],
    message: 'does not have the form of this document type',
  })
  .meta({ id: 'SubmitKyc', examples: [{ document_type: 'PAN', document_number: 'ABCDE1234F' }] });

export const kycAnswer = z
  .object({
    ...flowFields,
    account_tier: z.string().nullable(),
    status: z.enum(['NONE', 'PENDING', 'IN_REVIEW', 'VERIFIED', 'REJECTED']),
    document_type: z.string().nullable(),
    document_last4: z.string().nullable(),
    submitted_at: z.string().nullable(),
    decided_at: z.string().nullable(),
    reason: z
      .string()
      .nullable()
      .describe(
        'Why it was rejected, in a word: the provider’s own, `document_in_use` when another account was verified with the same document, or a reason of the risk check',
      ),
    message: z.string().nullable().describe('What the person may do about a rejection'),
    can_retry: z.boolean(),
    poll_after: pollField,
  })
  .meta({ id: 'KycStatus' });

const STATUS: Record<string, z.infer<typeof kycAnswer>['status']> = {
  'LIMITED.kyc_none': 'NONE',
  'LIMITED.kyc_submitted': 'PENDING',
  'LIMITED.kyc_risk_pending': 'PENDING',
  'LIMITED.kyc_review': 'IN_REVIEW',
  'LIMITED.kyc_rejected': 'REJECTED',
  'LIMITED.kyc_refused': 'REJECTED',
  FULL: 'VERIFIED',
};

type Record_ = {
  documentType: string;
  numberLast4: string;
  submittedAt: Date;
  decidedAt: Date | null;
  reason: string | null;
};

/** One document verifies one account, so the person may already have another one here. */
function adviceOn(view: FlowView, reason: string | null, canRetry: boolean): string | null {
  if (STATUS[view.state] !== 'REJECTED') return null;
  if (reason === 'document_in_use')
    return 'Another account has been verified with this document. Log in to that account, or ask the operator of this service.';
  return canRetry
    ? 'The document was rejected. Submit it again with `POST /v1/kyc`, or submit another one.'
    : 'The decision is final. Ask the operator of this service to look at it again.';
}

export function kycContract(view: FlowView, record: Record_ | undefined, offer: Offer) {
  const next = nextOf(view, offer);
  const canRetry = next.some((a) => a.event === 'KYC_SUBMITTED');
  return {
    flow_id: view.id,
    state: view.state,
    next,
    account_tier: view.tier,
    status: STATUS[view.state] ?? ('NONE' as const),
    document_type: record?.documentType ?? null,
    document_last4: record?.numberLast4 ?? null,
    submitted_at: record?.submittedAt.toISOString() ?? null,
    decided_at: record?.decidedAt?.toISOString() ?? null,
    reason: record?.reason ?? null,
    message: adviceOn(view, record?.reason ?? null, canRetry),
    can_retry: canRetry,
    poll_after: pollAfter(view),
  };
}

export const webhookAnswer = z
  .object({ accepted: z.boolean(), duplicate: z.boolean() })
  .meta({ id: 'WebhookTaken' });

export const reviewBody = z
  .strictObject({
    decision: z.enum(['APPROVE', 'REJECT']),
    reason: z
      .string()
      .trim()
      .min(3)
      .max(200)
      .regex(/^[^\p{C}]*$/u),
  })
  .meta({ id: 'ReviewDecision' });

export const reviewAnswer = z
  .object({ ...flowFields, account_tier: z.string().nullable() })
  .meta({ id: 'ReviewTaken' });
