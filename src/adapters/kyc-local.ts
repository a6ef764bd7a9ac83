/** A KYC provider that decides at once, by the reserved document numbers. For the demo and development only. */
import { DeliveryError, type KycPort, type KycSubmission, type KycVerdict } from './ports.ts';
import { type ReservedKycOutcome, reservedDocument } from './reserved.ts';

type Decision = Pick<KycVerdict, 'decision' | 'retryable' | 'reason'>;

const APPROVED: Decision = { decision: 'APPROVED', retryable: false, reason: null };

const DECISIONS: Record<Exclude<ReservedKycOutcome, 'provider_down'>, Decision> = {
  rejected_retry: { decision: 'REJECTED', retryable: true, reason: 'document_unreadable' },
  rejected_final: { decision: 'REJECTED', retryable: false, reason: 'document_not_genuine' },
  review: { decision: 'REVIEW', retryable: false, reason: 'manual_check' },
};

/** Every number that is not reserved is approved. The first verdict of an applicant has sequence 1. */
export const createLocalKyc = (): KycPort => ({
  async submit(submission) {
    const outcome = reservedDocument(submission.documentType, submission.documentNumber);
    if (outcome === 'provider_down') throw new DeliveryError('Reserved document: the provider is down', true);
    return verdict(submission, outcome === null ? APPROVED : DECISIONS[outcome]);
  },
});

const verdict = ({ id, applicantId }: KycSubmission, decision: Decision): KycVerdict => ({
  eventId: `local:${id}`,
  applicantId,
  sequence: 1,
  ...decision,
});
