/** What a sign-up remembers and which events move it: ids, verdicts, counters and times, never personal data. */
import { z } from 'zod';
import { type CodeTerms, type CodeVerdict, capitalsSchema, codeSchema, NO_CODE } from './code.ts';

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
export type Owner = {
  accountId: string;
  tier: 'UNVERIFIED' | 'LIMITED' | 'FULL';
  signupFlowId: string | null;
};
/** The login that opens when LIMITED is reached while the person is present. */
export type LoginOpening = { flowId: string; event: { type: string } };
type CodeAsked = { now: number; terms: CodeTerms; suppressed: boolean };
type Verdict = { now: number; kycId: string; sequence: number; reason: string | null; by: string };

export type SignupEvent =
  | ({ type: 'PHONE_SUBMITTED'; contactId: string; ttlMs: number; restart: boolean } & CodeAsked)
  | ({
      type: 'REGISTERED';
      contactId: string;
      accountId: string;
      ttlMs: number;
      capitals?: number[];
    } & CodeAsked)
  | {
      type: 'IMPORTED';
      now: number;
      contactId: string;
      /** A second contact of the same person, proven like the first. */
      otherContactId: string | null;
      accountId: string;
      contactVerified: boolean;
      risk: Risk;
      ttlMs: number;
    }
  | ({ type: 'CODE_REQUESTED' } & CodeAsked)
  | {
      type: 'CODE_CHECKED';
      now: number;
      verdict: CodeVerdict;
      owner: Owner | null;
      /** Minted id of the PreUser, used when the contact is free. */
      accountId: string;
      grant: boolean;
      /** The caller knows the address and the code of its mail, and nothing of what was registered. */
      byAddress?: boolean;
      tokenTtlMs: number;
      /** Identity rules for entries that skip S2 and S3. */
      risk: Risk;
      login: LoginOpening | null;
    }
  | { type: 'PASSWORD_SET'; now: number; presented: 'token' | 'grant'; pinSet: boolean; tokenTtlMs: number }
  | { type: 'PROFILE_SUBMITTED'; now: number; risk: Risk; login: LoginOpening | null }
  | { type: 'RISK_EVALUATED'; now: number; stage: 'signup' | 'kyc'; risk: Risk }
  | { type: 'REVIEW_DECIDED'; now: number; approve: boolean; reviewer: string; reason: string | null }
  | { type: 'KYC_SUBMITTED'; now: number; kycId: string }
  | ({ type: 'KYC_APPROVED'; risk: Risk } & Verdict)
  | ({ type: 'KYC_REJECTED'; retryable: boolean } & Verdict)
  | ({ type: 'KYC_REVIEW_REQUIRED' } & Verdict)
  | ({ type: 'KYC_REVOKED'; retryable: boolean } & Verdict)
  | { type: 'ABANDON'; now: number }
  | { type: 'EXPIRE'; now: number };
