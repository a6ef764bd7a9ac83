/** The body of a provider's KYC webhook. It can name the applicant we issued and nothing else of ours. */
import { z } from 'zod';
import type { KycVerdict } from './ports.ts';

const opaque = z.string().regex(/^[A-Za-z0-9._:-]{1,128}$/);

/** Strict: an unknown field is refused. `retryable` belongs to a rejection. */
export const kycVerdictSchema = z
  .strictObject({
    event_id: opaque,
    applicant_id: opaque,
    sequence: z.int().min(1),
    decision: z.enum(['APPROVED', 'REJECTED', 'REVIEW', 'REVOKED']),
    retryable: z.boolean().default(false),
    reason: z.string().min(1).max(200).nullable().default(null),
  })
  .refine((v) => !v.retryable || v.decision === 'REJECTED', {
    path: ['retryable'],
    message: 'Only a rejection can be retryable',
  });

export const toKycVerdict = (body: z.output<typeof kycVerdictSchema>): KycVerdict => ({
  eventId: body.event_id,
  applicantId: body.applicant_id,
  sequence: body.sequence,
  decision: body.decision,
  retryable: body.retryable,
  reason: body.reason,
});
