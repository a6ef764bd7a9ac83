/**
 * The identifiers that stand for an outcome, so that every failure can be shown without waiting for one. One table;
 * it has a meaning only where the local adapters and the demo ask for it, and must never be asked in production.
 */
import type { KycDocument } from './ports.ts';

export { isReservedPhone } from '../kernel/identifiers/phone.ts';

export type ReservedOutcome =
  | 'code_expired'
  | 'code_locked'
  | 'delivery_failed'
  | 'risk_review'
  | 'risk_blocked';

/** Phone (E.164) → what happens to it. Any other reserved number simply works. */
export const RESERVED_PHONES: Readonly<Record<string, ReservedOutcome>> = {
  '+15555550101': 'code_expired',
  '+15555550102': 'code_locked',
  '+15555550103': 'delivery_failed',
  '+15555550104': 'risk_review',
  '+15555550105': 'risk_blocked',
};

/** What an authenticator app of a reserved number holds in the demo, so that every app can make its codes. */
export const RESERVED_TOTP_SECRET = 'JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP';

/** The block list of the demo: ten numbers that show a blocked prefix. */
export const RESERVED_BLOCKED_PREFIXES: readonly string[] = ['+1555555066'];

export type ReservedKycOutcome = 'rejected_retry' | 'rejected_final' | 'review' | 'provider_down';

/** Document number → the provider's answer; each number satisfies the format of its document (Aadhaar: Verhoeff). */
export const RESERVED_DOCUMENTS: Readonly<Record<KycDocument, Readonly<Record<string, ReservedKycOutcome>>>> =
  {
    PAN: {
      ZZZPZ0001Z: 'rejected_retry',
      ZZZPZ0002Z: 'rejected_final',
      ZZZPZ0003Z: 'review',
      ZZZPZ0004Z: 'provider_down',
    },
    AADHAAR: {
      '999900000016': 'rejected_retry',
      '999900000028': 'rejected_final',
      '999900000037': 'review',
      '999900000044': 'provider_down',
    },
    PASSPORT: {
      Z9999001: 'rejected_retry',
      Z9999002: 'rejected_final',
      Z9999003: 'review',
      Z9999004: 'provider_down',
    },
  };

export const reservedOutcome = (phoneE164: string): ReservedOutcome | null =>
  Object.hasOwn(RESERVED_PHONES, phoneE164) ? (RESERVED_PHONES[phoneE164] ?? null) : null;

/** Spaces, hyphens and case as people type them do not matter. */
export function reservedDocument(type: KycDocument, number: string): ReservedKycOutcome | null {
  const table = RESERVED_DOCUMENTS[type];
  const canonical = number.replace(/[\s-]/g, '').toUpperCase();
  return Object.hasOwn(table, canonical) ? (table[canonical] ?? null) : null;
}
