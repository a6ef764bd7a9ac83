/** What a sign-up remembers and which events move it: ids, verdicts, counters and times, never personal data. */
import { z } from 'zod';
import {
  capitalsSchema,
  codeSchema,
  codeTermsSchema,
  codeVerdictSchema,
  NO_CODE,
  openingSchema,
  SAMPLE_OPENING,
  SAMPLE_TERMS,
  sampleVerdict,
  usualCode,
} from './code.ts';
import { duration, word } from './fields.ts';
import { bare, type EventsOf, event } from './module.ts';
import { SAMPLE } from './samples.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** `PENDING` waits for an external provider. */
export const riskSchema = z.strictObject({
  decision: z.enum(['ALLOW', 'REVIEW', 'BLOCK', 'PENDING']),
  reasons: z.array(z.string()),
  at: z.int(),
});
export type Risk = z.infer<typeof riskSchema>;

export const signupContextSchema = z.strictObject({
  entry: z.enum(['phone', 'email', 'import']),
  contactId: z.string(),
  /** The PreUser, from S1 on; for the e-mail entry from the start. */
  accountId: z.string().nullable(),
  code: codeSchema,
  capitals: capitalsSchema,
  /** Resends and wrong codes so far: a risk fact. */
  codeRetries: z.int().min(0),
  /** Single use: lets the literal demo command set a password without the token. */
  grant: z.boolean(),
  pinSet: z.boolean(),
  profileComplete: z.boolean(),
  risk: riskSchema.nullable(),
  kyc: z
    .strictObject({
      id: z.string(),
      /** Sequence of the newest verdict taken. */
      sequence: z.int(),
      submissions: z.int(),
    })
    .nullable(),
  dueAt: z.int().nullable(),
});
export type SignupContext = z.infer<typeof signupContextSchema>;

export const NEW_SIGNUP: SignupContext = {
  entry: 'phone',
  contactId: '',
  accountId: null,
  code: NO_CODE,
  codeRetries: 0,
  grant: false,
  pinSet: false,
  profileComplete: false,
  risk: null,
  kyc: null,
  dueAt: null,
};

/** Who owns the contact at the moment its code is accepted. */
export const ownerSchema = z.strictObject({
  accountId: word,
  tier: z.enum(['UNVERIFIED', 'LIMITED', 'FULL']),
  signupFlowId: word.nullable(),
});
export type Owner = z.infer<typeof ownerSchema>;

const SAMPLE_OWNER: Owner = { accountId: SAMPLE.account, tier: 'LIMITED', signupFlowId: null };
const allowed = (now: number): Risk => ({ decision: 'ALLOW', reasons: [], at: now });

const asked = { terms: codeTermsSchema, suppressed: z.boolean() };
const SAMPLE_ASKED = { terms: SAMPLE_TERMS, suppressed: false };
const opening = { contactId: word, ttlMs: duration };
const SAMPLE_FLOW = { contactId: SAMPLE.contact, ttlMs: 30 * DAY };
/** The login that opens when LIMITED is reached while the person is present. */
const login = openingSchema.nullable();
const verdict = { kycId: word, sequence: z.int(), reason: word.nullable(), by: word };
type Known = Pick<SignupContext, 'code' | 'kyc'>;
const sampleRuling = ({ kyc }: Known) => ({
  kycId: kyc?.id ?? SAMPLE.kyc,
  sequence: (kyc?.sequence ?? 0) + 1,
  reason: null,
  by: 'provider',
});

export const signupEvents = {
  PHONE_SUBMITTED: event({ ...asked, ...opening, restart: z.boolean() }, () => ({
    ...SAMPLE_ASKED,
    ...SAMPLE_FLOW,
    restart: false,
  })),
  REGISTERED: event({ ...asked, ...opening, accountId: word, capitals: capitalsSchema }, () => ({
    ...SAMPLE_ASKED,
    ...SAMPLE_FLOW,
    accountId: SAMPLE.account,
  })),
  IMPORTED: event(
    {
      ...opening,
      /** A second contact of the same person, proven like the first. */
      otherContactId: word.nullable(),
      accountId: word,
      contactVerified: z.boolean(),
      risk: riskSchema,
    },
    (_c, now) => ({
      ...SAMPLE_FLOW,
      otherContactId: null,
      accountId: SAMPLE.account,
      contactVerified: true,
      risk: allowed(now),
    }),
  ),
  CODE_REQUESTED: event(asked, () => SAMPLE_ASKED),
  CODE_CHECKED: event(
    {
      verdict: codeVerdictSchema,
      owner: ownerSchema.nullable(),
      /** Minted id of the PreUser, used when the contact is free. */
      accountId: word,
      grant: z.boolean(),
      /** The caller knows the address and the code of its mail, and nothing of what was registered. */
      byAddress: z.boolean().optional(),
      tokenTtlMs: duration,
      /** Identity rules for entries that skip S2 and S3. */
      risk: riskSchema,
      login,
    },
    (c: Known, now) => ({
      verdict: sampleVerdict(c.code),
      owner: null,
      accountId: SAMPLE.account,
      grant: false,
      tokenTtlMs: 15 * MINUTE,
      risk: allowed(now),
      login: null,
    }),
    { owner: SAMPLE_OWNER, login: SAMPLE_OPENING },
  ),
  PASSWORD_SET: event(
    { presented: z.enum(['token', 'grant']), pinSet: z.boolean(), tokenTtlMs: duration },
    () => ({ presented: 'token' as const, pinSet: false, tokenTtlMs: 15 * MINUTE }),
  ),
  PROFILE_SUBMITTED: event({ risk: riskSchema, login }, (_c, now) => ({ risk: allowed(now), login: null }), {
    login: SAMPLE_OPENING,
  }),
  RISK_EVALUATED: event({ stage: z.enum(['signup', 'kyc']), risk: riskSchema }, (c: Known, now) => ({
    stage: c.kyc ? ('kyc' as const) : ('signup' as const),
    risk: allowed(now),
  })),
  REVIEW_DECIDED: event({ approve: z.boolean(), reviewer: word, reason: word.nullable() }, () => ({
    approve: true,
    reviewer: 'reviewer',
    reason: null,
  })),
  KYC_SUBMITTED: event({ kycId: word }, () => ({ kycId: SAMPLE.kyc })),
  KYC_APPROVED: event({ ...verdict, risk: riskSchema }, (c: Known, now) => ({
    ...sampleRuling(c),
    risk: allowed(now),
  })),
  KYC_REJECTED: event({ ...verdict, retryable: z.boolean() }, (c: Known) => ({
    ...sampleRuling(c),
    retryable: true,
  })),
  KYC_REVIEW_REQUIRED: event(verdict, (c: Known) => sampleRuling(c)),
  KYC_REVOKED: event({ ...verdict, retryable: z.boolean() }, (c: Known) => ({
    ...sampleRuling(c),
    retryable: true,
  })),
  ABANDON: bare,
  EXPIRE: bare,
};
export type SignupEvent = EventsOf<typeof signupEvents>;

/** What a sign-up remembers that came to this state by the usual way. */
export function usualSignup(state: string, now: number): Partial<SignupContext> {
  if (state === 'idle') return {};
  const tiered = /^(LIMITED|FULL)/.test(state);
  const decision = state.endsWith('_pending')
    ? 'PENDING'
    : state.endsWith('_review')
      ? 'REVIEW'
      : state === 'risk_blocked'
        ? 'BLOCK'
        : tiered
          ? 'ALLOW'
          : null;
  return {
    contactId: SAMPLE.contact,
    accountId: /code_sent|locked/.test(state) ? null : SAMPLE.account,
    code: usualCode(state, now),
    profileComplete: tiered || decision !== null,
    risk: decision && { decision, reasons: [], at: now },
    kyc: /kyc_(?!none)|FULL/.test(state) ? { id: SAMPLE.kyc, sequence: 0, submissions: 1 } : null,
    dueAt: tiered ? null : now + 30 * DAY,
  };
}
