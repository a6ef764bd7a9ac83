/**
 * Sign-up, S1 to S8: UNVERIFIED → LIMITED → FULL. What it remembers (ids, verdicts, counters and times, never personal
 * data), the events that move it, and its states: a tier is a top-level state, and every way into one is a guarded edge here.
 */
import { and, setup } from 'xstate';
import { z } from 'zod';
import {
  accepted,
  capitalsSchema,
  codeSchema,
  codeTermsSchema,
  codeVerdictSchema,
  exhausts,
  issued,
  NO_CODE,
  openingSchema,
  SAMPLE_OPENING,
  SAMPLE_TERMS,
  sampleVerdict,
  spelling,
  spent,
  unlocked,
  usualCode,
} from './code.ts';
import { effects } from './effects.ts';
import { duration, word } from './fields.ts';
import { bare, type EventsOf, event, type MachineModule, timeUp } from './module.ts';
import { repairSignup } from './repair.ts';
import { SAMPLE } from './samples.ts';
import { signupV1toV2 } from './upgrades.ts';

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

const MAX_KYC_SUBMISSIONS = 3;

/** Effects of this machine alone. Ids, verdicts, counters and times only: parameters may be logged and stored. */
export type SignupEffects = {
  /** S3: write the enclosed profile. */
  storeProfile: { accountId: string };
  /** S6: write the enclosed, sealed document. */
  recordKyc: { accountId: string; kycId: string };
  /** Ask the KYC provider; the verdict comes back as an event. */
  requestKyc: { accountId: string; kycId: string };
  /** S7: settle the record. */
  decideKyc: {
    kycId: string;
    status: 'VERIFIED' | 'REJECTED' | 'REVOKED';
    reason: string | null;
    retryable: boolean;
    by: string;
  };
  /** What was registered for an address that somebody else has proven: the password, the profile and the user name go. */
  discardRegistration: { accountId: string };
  /** Archive what a reserved demo number left behind. */
  archiveContact: { contactId: string };
};

const machine = setup({
  types: { context: {} as SignupContext, events: {} as SignupEvent },
  actions: effects<SignupEffects>(),
  guards: {
    sendSuppressed: ({ event }) => 'suppressed' in event && event.suppressed,
    lockOver: ({ context, event }) => unlocked(context.code, event.now),
    startsOver: ({ event }) => event.type === 'PHONE_SUBMITTED' && event.restart,
    codeAccepted: ({ context, event }) =>
      event.type === 'CODE_CHECKED' && accepted(context.code, event.verdict, event.now),
    lastCheck: ({ context, event }) => event.type === 'CODE_CHECKED' && exhausts(context.code, event.verdict),
    contactRegistered: ({ context, event }) =>
      event.type === 'CODE_CHECKED' &&
      event.owner !== null &&
      event.owner.accountId !== context.accountId &&
      (event.owner.tier !== 'UNVERIFIED' || event.owner.signupFlowId === null),
    signupUnderWay: ({ context, event }) =>
      event.type === 'CODE_CHECKED' && event.owner !== null && event.owner.accountId !== context.accountId,
    byEmail: ({ context }) => context.entry !== 'phone',
    /** What was registered may then be another person's choice, its password above all. */
    addressAlone: ({ context, event }) =>
      context.entry === 'email' &&
      event.type === 'CODE_CHECKED' &&
      event.byAddress === true &&
      !event.verdict.holder,
    contactVerified: ({ event }) => event.type === 'IMPORTED' && event.contactVerified,
    credentialPresented: ({ context, event }) =>
      event.type === 'PASSWORD_SET' && (event.presented === 'token' || context.grant),
    personPresent: ({ event }) => 'login' in event && event.login !== null,
    riskPassed: ({ context }) => context.risk?.decision === 'ALLOW',
    riskReview: ({ context }) => context.risk?.decision === 'REVIEW',
    riskPending: ({ context }) => context.risk?.decision === 'PENDING',
    riskForSignup: ({ event }) => event.type === 'RISK_EVALUATED' && event.stage === 'signup',
    riskForKyc: ({ event }) => event.type === 'RISK_EVALUATED' && event.stage === 'kyc',
    reviewApproved: ({ context, event }) =>
      event.type === 'REVIEW_DECIDED' && event.approve && event.reviewer !== context.accountId,
    reviewRejected: ({ context, event }) =>
      event.type === 'REVIEW_DECIDED' && !event.approve && event.reviewer !== context.accountId,
    timeUp,
    preUserExists: ({ context }) => context.accountId !== null,
    /** Giving up must not be a way out of a review: whoever is judged waits for the verdict. */
    notJudged: ({ context }) => context.risk === null,
    riskNotBlocked: ({ context }) => context.risk?.decision !== 'BLOCK',
    profileComplete: ({ context }) => context.profileComplete,
    profileMissing: ({ context }) => !context.profileComplete,
    submissionsLeft: ({ context }) => (context.kyc?.submissions ?? 0) < MAX_KYC_SUBMISSIONS,
    /** A verdict on the record under way, newer than any taken before: stale and repeated ones move nothing. */
    verdictNewer: ({ context, event }) =>
      'sequence' in event &&
      context.kyc !== null &&
      event.kycId === context.kyc.id &&
      event.sequence > context.kyc.sequence,
    mayRetry: ({ context, event }) =>
      'retryable' in event && event.retryable && (context.kyc?.submissions ?? 0) < MAX_KYC_SUBMISSIONS,
  },
});

type Args = { context: SignupContext; event: SignupEvent };
const id = (c: SignupContext): string => c.accountId ?? '';

const open = machine.assign(({ context, event: e }) =>
  e.type === 'PHONE_SUBMITTED' || e.type === 'REGISTERED'
    ? {
        entry: e.type === 'REGISTERED' ? ('email' as const) : ('phone' as const),
        contactId: e.contactId,
        accountId: e.type === 'REGISTERED' ? e.accountId : null,
        ...(e.type === 'REGISTERED' ? spelling(e) : {}),
        code: issued(context.code, e.terms, e.now),
        dueAt: e.now + e.ttlMs,
      }
    : {},
);
const resend = machine.assign(({ context, event: e }) =>
  e.type === 'CODE_REQUESTED'
    ? {
        code: issued(context.code, e.terms, e.now),
        // A code by mail is sent again for anybody who names the address: that says nothing about the person.
        codeRetries: context.codeRetries + (context.entry === 'phone' ? 1 : 0),
      }
    : {},
);
const spend = machine.assign(({ context, event: e }) =>
  e.type === 'CODE_CHECKED'
    ? {
        code: spent(context.code, e.verdict, e.now),
        // Whoever only names the phone must not be able to push its owner into a review.
        codeRetries: context.codeRetries + (e.verdict.holder ? 1 : 0),
      }
    : {},
);
const takeRisk = machine.assign(({ event: e }) => ('risk' in e ? { risk: e.risk } : {}));
const settleKyc = machine.assign(({ context, event: e }) =>
  'sequence' in e && context.kyc ? { kyc: { ...context.kyc, sequence: e.sequence } } : {},
);

const publish = (type: string, outcome: 'success' | 'failure' = 'success') =>
  ({
    type: 'publish',
    params: ({ context: c }: Args) => ({ type, accountId: c.accountId, outcome }),
  }) as const;
const audit = (type: string, outcome: 'success' | 'failure' = 'success') =>
  ({ type: 'audit', params: ({ context: c }: Args) => ({ type, accountId: c.accountId, outcome }) }) as const;

const sendCode = {
  type: 'sendCode',
  params: ({ context: c }: Args) => ({
    contactId: c.contactId,
    purpose: c.entry === 'phone' ? ('signup' as const) : ('email' as const),
    counter: c.code.counter,
    ...spelling(c),
    expiresAt: c.code.expiresAt,
  }),
} as const;
const attempt = <T extends 'clearFailures' | 'countFailure'>(type: T) =>
  ({
    type,
    params: ({ context: c, event: e }: Args) => ({
      contactId: c.contactId,
      holder: e.type === 'CODE_CHECKED' && e.verdict.holder,
    }),
  }) as const;
const clearFailures = attempt('clearFailures');
const countFailure = attempt('countFailure');
const claimContact = {
  type: 'claimContact',
  params: ({ context: c }: Args) => ({ accountId: id(c), contactId: c.contactId, ...spelling(c) }),
} as const;
const grantToken = {
  type: 'grantToken',
  params: ({ event: e }: Args) => ({ ttlMs: 'tokenTtlMs' in e ? e.tokenTtlMs : 0 }),
} as const;
const extendToken = { ...grantToken, type: 'extendToken' } as const;
const openLogin = {
  type: 'openFlow',
  params: ({ event: e }: Args) => {
    const login = 'login' in e ? e.login : null;
    return { machine: 'login', flowId: login?.flowId ?? '', event: login?.event ?? { type: '' } };
  },
} as const;
const decideKyc = (status: 'VERIFIED' | 'REJECTED' | 'REVOKED') =>
  ({
    type: 'decideKyc',
    params: ({ context: c, event: e }: Args) => ({
      kycId: c.kyc?.id ?? '',
      status,
      reason: 'reason' in e ? e.reason : (c.risk?.reasons[0] ?? null),
      retryable:
        (e.type === 'REVIEW_DECIDED' ? !e.approve : 'retryable' in e && e.retryable) &&
        (c.kyc?.submissions ?? 0) < MAX_KYC_SUBMISSIONS,
      by: 'by' in e ? e.by : e.type === 'REVIEW_DECIDED' ? e.reviewer : 'risk',
    }),
  }) as const;

const archiveContact = {
  type: 'archiveContact',
  params: ({ event: e }: Args) => ({ contactId: 'contactId' in e ? e.contactId : '' }),
} as const;
const register = [
  {
    type: 'createAccount',
    params: ({ context: c }: Args) => ({ accountId: id(c), contactId: c.contactId, claim: false }),
  },
  { type: 'storeCredentials', params: ({ context: c }: Args) => ({ accountId: id(c) }) },
  { type: 'storeProfile', params: ({ context: c }: Args) => ({ accountId: id(c) }) },
] as const;
/** Whoever signed up by e-mail is welcomed there; a phone gets no mail. */
const welcome = {
  type: 'sendMail',
  params: ({ context: c }: Args) => ({
    template: 'welcome' as const,
    contactId: c.entry === 'email' ? c.contactId : null,
  }),
} as const;
const release = {
  type: 'releasePreUser',
  params: ({ context: c }: Args) => ({ accountId: id(c), contactId: c.contactId }),
} as const;
/** The owner's sign-up goes on under the token of whoever has just proven the contact. */
const handOver = {
  type: 'handOver',
  params: ({ event: e }: Args) => ({
    toFlowId: ('owner' in e && e.owner?.signupFlowId) || '',
    ttlMs: 'tokenTtlMs' in e ? e.tokenTtlMs : 0,
  }),
} as const;
const rejected = [settleKyc, decideKyc('REJECTED'), publish('kyc.rejected', 'failure')] as const;
const revoked = [settleKyc, decideKyc('REVOKED'), publish('kyc.revoked', 'failure')] as const;
/** A provider's "no", wherever a record is under way; `mayRetry` tells whether another document may follow. */
const saysNo = <A>(actions: A) =>
  [
    { guard: and(['verdictNewer', 'mayRetry']), target: '#signup.LIMITED.kyc_rejected', actions },
    { guard: 'verdictNewer', target: '#signup.LIMITED.kyc_refused', actions },
  ] as const;

export const signupMachine = machine.createMachine({
  id: 'signup',
  context: NEW_SIGNUP,
  initial: 'idle',
  states: {
    idle: {
      meta: { label: 'not started' },
      on: {
        PHONE_SUBMITTED: [
          {
            guard: and(['startsOver', 'sendSuppressed']),
            target: 'UNVERIFIED.code_sent',
            actions: [archiveContact, open, audit('code.suppressed', 'failure')],
          },
          {
            guard: 'startsOver',
            target: 'UNVERIFIED.code_sent',
            actions: [archiveContact, open, sendCode, audit('code.sent')],
          },
          {
            guard: 'sendSuppressed',
            target: 'UNVERIFIED.code_sent',
            actions: [open, audit('code.suppressed', 'failure')],
          },
          { target: 'UNVERIFIED.code_sent', actions: [open, sendCode, audit('code.sent')] },
        ],
        REGISTERED: [
          {
            guard: 'sendSuppressed',
            target: 'UNVERIFIED.code_sent',
            actions: [open, ...register, publish('user.registered'), audit('code.suppressed', 'failure')],
          },
          {
            target: 'UNVERIFIED.code_sent',
            actions: [open, ...register, sendCode, publish('user.registered')],
          },
        ],
        IMPORTED: {
          guard: 'contactVerified',
          target: 'UNVERIFIED.risk_gate',
          actions: [
            machine.assign(({ event: e }) =>
              e.type === 'IMPORTED'
                ? {
                    entry: 'import' as const,
                    contactId: e.contactId,
                    accountId: e.accountId,
                    risk: e.risk,
                    dueAt: e.now + e.ttlMs,
                  }
                : {},
            ),
            {
              type: 'createAccount',
              params: ({ event: e }) => ({ accountId: e.accountId, contactId: e.contactId, claim: true }),
            },
            {
              type: 'claimContact',
              params: ({ event: e }) => ({ accountId: e.accountId, contactId: e.otherContactId }),
            },
            { type: 'storeCredentials', params: ({ event: e }) => ({ accountId: e.accountId }) },
            { type: 'storeProfile', params: ({ event: e }) => ({ accountId: e.accountId }) },
            audit('user.imported'),
          ],
        },
      },
    },

    UNVERIFIED: {
      meta: { tier: 'UNVERIFIED', label: 'UNVERIFIED' },
      initial: 'code_sent',
      on: {
        EXPIRE: [
          {
            guard: and(['timeUp', 'preUserExists']),
            target: 'expired',
            actions: [release, audit('signup.expired')],
          },
          { guard: 'timeUp', target: 'expired', actions: audit('signup.expired') },
        ],
        ABANDON: [
          {
            guard: and(['notJudged', 'preUserExists']),
            target: 'abandoned',
            actions: [release, audit('signup.abandoned')],
          },
          { guard: 'notJudged', target: 'abandoned', actions: audit('signup.abandoned') },
        ],
      },
      states: {
        code_sent: {
          meta: { tier: 'UNVERIFIED', step: 'code', label: 'code sent', budgetMs: 10 * MINUTE, milestone: 1 },
          on: {
            CODE_REQUESTED: [
              {
                guard: 'sendSuppressed',
                target: 'code_sent',
                actions: [resend, audit('code.suppressed', 'failure')],
              },
              { target: 'code_sent', actions: [resend, sendCode, audit('code.sent')] },
            ],
            CODE_CHECKED: [
              {
                guard: and(['codeAccepted', 'contactRegistered', 'preUserExists']),
                target: '#signup.registered',
                actions: [clearFailures, release, audit('signup.contact_registered')],
              },
              {
                guard: and(['codeAccepted', 'contactRegistered']),
                target: '#signup.registered',
                actions: [clearFailures, audit('signup.contact_registered')],
              },
              {
                guard: and(['codeAccepted', 'signupUnderWay', 'preUserExists']),
                target: '#signup.resumed',
                actions: [clearFailures, handOver, release, audit('signup.resumed')],
              },
              {
                guard: and(['codeAccepted', 'signupUnderWay']),
                target: '#signup.resumed',
                actions: [clearFailures, handOver, audit('signup.resumed')],
              },
              {
                guard: and(['codeAccepted', 'addressAlone']),
                target: 'preuser_created',
                actions: [
                  clearFailures,
                  claimContact,
                  { type: 'discardRegistration', params: ({ context: c }) => ({ accountId: id(c) }) },
                  grantToken,
                  audit('email.verified'),
                  audit('registration.discarded'),
                ],
              },
              {
                guard: and(['codeAccepted', 'byEmail']),
                target: 'risk_gate',
                actions: [takeRisk, clearFailures, claimContact, grantToken, audit('email.verified')],
              },
              {
                guard: 'codeAccepted',
                target: 'preuser_created',
                actions: [
                  machine.assign(({ event: e }) =>
                    e.type === 'CODE_CHECKED' ? { accountId: e.accountId, grant: e.grant } : {},
                  ),
                  clearFailures,
                  {
                    type: 'createAccount',
                    params: ({ context: c }) => ({ accountId: id(c), contactId: c.contactId, claim: true }),
                  },
                  grantToken,
                  audit('phone.verified'),
                ],
              },
              {
                guard: 'lastCheck',
                target: 'locked',
                actions: [spend, countFailure, audit('code.failed', 'failure')],
              },
              { target: 'code_sent', actions: [spend, countFailure, audit('code.failed', 'failure')] },
            ],
          },
        },
        locked: {
          tags: ['locked'],
          meta: { tier: 'UNVERIFIED', step: 'code', label: 'locked', budgetMs: 60 * MINUTE },
          on: {
            CODE_REQUESTED: [
              {
                guard: and(['lockOver', 'sendSuppressed']),
                target: 'code_sent',
                actions: [resend, audit('code.suppressed', 'failure')],
              },
              { guard: 'lockOver', target: 'code_sent', actions: [resend, sendCode, audit('code.sent')] },
            ],
            CODE_CHECKED: { target: 'locked', actions: [countFailure, audit('code.failed', 'failure')] },
          },
        },
        preuser_created: {
          tags: ['verified'],
          meta: {
            tier: 'UNVERIFIED',
            step: 'password',
            stepBy: 'phone',
            label: 'S1 PreUser created',
            budgetMs: DAY,
            milestone: 2,
          },
          on: {
            PASSWORD_SET: {
              guard: 'credentialPresented',
              target: 'credentials_set',
              actions: [
                machine.assign(({ event: e }) =>
                  e.type === 'PASSWORD_SET' ? { pinSet: e.pinSet, grant: false } : {},
                ),
                { type: 'storeCredentials', params: ({ context: c }) => ({ accountId: id(c) }) },
                extendToken,
                audit('credentials.set'),
              ],
            },
          },
        },
        credentials_set: {
          tags: ['verified'],
          meta: {
            tier: 'UNVERIFIED',
            step: 'profile',
            stepBy: 'phone',
            label: 'S2 credentials set',
            budgetMs: DAY,
            milestone: 3,
          },
          on: {
            PROFILE_SUBMITTED: {
              target: 'risk_gate',
              actions: [
                takeRisk,
                machine.assign({ profileComplete: true }),
                { type: 'storeProfile', params: ({ context: c }) => ({ accountId: id(c) }) },
                audit('profile.completed'),
              ],
            },
          },
        },
        risk_gate: {
          meta: { tier: 'UNVERIFIED', step: 'risk', label: 'S4 risk gate', milestone: 4 },
          always: [
            {
              guard: and(['riskPassed', 'personPresent']),
              target: '#signup.LIMITED',
              actions: [publish('signup.limited'), welcome, openLogin],
            },
            { guard: 'riskPassed', target: '#signup.LIMITED', actions: [publish('signup.limited'), welcome] },
            {
              guard: 'riskPending',
              target: 'risk_pending',
              actions: { type: 'requestRisk', params: { stage: 'signup' } },
            },
            { guard: 'riskReview', target: 'risk_review', actions: audit('risk.review', 'failure') },
            { target: '#signup.risk_blocked', actions: publish('risk.blocked', 'failure') },
          ],
        },
        risk_pending: {
          tags: ['verified'],
          meta: {
            tier: 'UNVERIFIED',
            step: 'risk',
            label: 'S4 waiting for the risk provider',
            budgetMs: 10 * MINUTE,
          },
          on: { RISK_EVALUATED: { guard: 'riskForSignup', target: 'risk_gate', actions: takeRisk } },
        },
        risk_review: {
          tags: ['verified'],
          meta: { tier: 'UNVERIFIED', step: 'risk', label: 'S4 risk review', budgetMs: 2 * DAY },
          on: {
            REVIEW_DECIDED: [
              {
                guard: 'reviewApproved',
                target: '#signup.LIMITED',
                actions: [audit('risk.review_approved'), publish('signup.limited'), welcome],
              },
              {
                guard: 'reviewRejected',
                target: '#signup.risk_blocked',
                actions: publish('risk.blocked', 'failure'),
              },
            ],
          },
        },
      },
    },

    LIMITED: {
      tags: ['verified'],
      meta: { tier: 'LIMITED', label: 'LIMITED' },
      initial: 'kyc_none',
      entry: [
        machine.assign({ dueAt: null }),
        { type: 'setTier', params: ({ context: c }) => ({ accountId: id(c), tier: 'LIMITED' as const }) },
      ],
      states: {
        kyc_none: {
          meta: { tier: 'LIMITED', label: 'S5 limited account', milestone: 5 },
          on: {
            PROFILE_SUBMITTED: {
              guard: 'profileMissing',
              target: 'kyc_none',
              actions: [
                takeRisk,
                machine.assign({ profileComplete: true }),
                { type: 'storeProfile', params: ({ context: c }) => ({ accountId: id(c) }) },
                audit('profile.completed'),
              ],
            },
            KYC_SUBMITTED: { guard: 'profileComplete', target: 'kyc_submitted' },
          },
        },
        kyc_submitted: {
          meta: { tier: 'LIMITED', label: 'S6 KYC submitted', budgetMs: DAY, milestone: 6 },
          entry: [
            machine.assign(({ context: c, event: e }) =>
              e.type === 'KYC_SUBMITTED'
                ? {
                    kyc: {
                      id: e.kycId,
                      sequence: 0,
                      submissions: (c.kyc?.submissions ?? 0) + 1,
                    },
                  }
                : {},
            ),
            {
              type: 'recordKyc',
              params: ({ context: c }) => ({ accountId: id(c), kycId: c.kyc?.id ?? '' }),
            },
            {
              type: 'requestKyc',
              params: ({ context: c }) => ({ accountId: id(c), kycId: c.kyc?.id ?? '' }),
            },
            publish('kyc.submitted'),
          ],
          on: {
            KYC_APPROVED: { guard: 'verdictNewer', target: 'kyc_verified', actions: [settleKyc, takeRisk] },
            KYC_REJECTED: saysNo(rejected),
            // Overtook its own approval: that one is stale from now on.
            KYC_REVOKED: saysNo(revoked),
            KYC_REVIEW_REQUIRED: {
              guard: 'verdictNewer',
              target: 'kyc_review',
              actions: [settleKyc, audit('kyc.review')],
            },
          },
        },
        kyc_verified: {
          meta: { tier: 'LIMITED', label: 'S7 post-KYC risk check', milestone: 7 },
          always: [
            {
              guard: 'riskPassed',
              target: '#signup.FULL',
              actions: [decideKyc('VERIFIED'), publish('kyc.approved')],
            },
            {
              guard: 'riskPending',
              target: 'kyc_risk_pending',
              actions: { type: 'requestRisk', params: { stage: 'kyc' } },
            },
            { guard: 'riskReview', target: 'kyc_review', actions: audit('risk.review', 'failure') },
            { target: 'kyc_refused', actions: [decideKyc('REJECTED'), publish('kyc.rejected', 'failure')] },
          ],
        },
        kyc_risk_pending: {
          meta: { tier: 'LIMITED', label: 'S7 waiting for the risk provider', budgetMs: 10 * MINUTE },
          on: {
            RISK_EVALUATED: { guard: 'riskForKyc', target: 'kyc_verified', actions: takeRisk },
            KYC_REJECTED: saysNo(rejected),
            KYC_REVOKED: saysNo(revoked),
          },
        },
        kyc_review: {
          meta: { tier: 'LIMITED', label: 'S7 KYC review', budgetMs: 2 * DAY },
          on: {
            REVIEW_DECIDED: [
              {
                // Nobody becomes FULL on a risk that was never evaluated.
                guard: and(['reviewApproved', 'riskPending']),
                target: 'kyc_risk_pending',
                actions: { type: 'requestRisk', params: { stage: 'kyc' } },
              },
              {
                guard: and(['reviewApproved', 'riskNotBlocked']),
                target: '#signup.FULL',
                actions: [decideKyc('VERIFIED'), publish('kyc.approved')],
              },
              {
                guard: and(['reviewRejected', 'submissionsLeft']),
                target: 'kyc_rejected',
                actions: [decideKyc('REJECTED'), publish('kyc.rejected', 'failure')],
              },
              {
                guard: 'reviewRejected',
                target: 'kyc_refused',
                actions: [decideKyc('REJECTED'), publish('kyc.rejected', 'failure')],
              },
            ],
            // A reviewer alone leads out upwards; the provider can still take its word back.
            KYC_REJECTED: saysNo(rejected),
            KYC_REVOKED: saysNo(revoked),
          },
        },
        kyc_rejected: {
          meta: { tier: 'LIMITED', label: 'KYC rejected (can retry)' },
          on: { KYC_SUBMITTED: { guard: 'submissionsLeft', target: 'kyc_submitted' } },
        },
        kyc_refused: {
          type: 'final',
          tags: ['denied'],
          meta: { tier: 'LIMITED', label: 'KYC rejected (final)' },
        },
      },
    },

    FULL: {
      tags: ['verified'],
      meta: { tier: 'FULL', label: 'S8 FULL', milestone: 8 },
      entry: { type: 'setTier', params: ({ context: c }) => ({ accountId: id(c), tier: 'FULL' }) },
      on: {
        KYC_REVOKED: saysNo(revoked),
      },
    },

    registered: { type: 'final', tags: ['verified'], meta: { label: 'already registered: log in' } },
    resumed: { type: 'final', tags: ['verified'], meta: { label: 'merged into existing sign-up' } },
    risk_blocked: {
      type: 'final',
      tags: ['denied'],
      meta: { tier: 'UNVERIFIED', label: 'S4 blocked by risk' },
    },
    expired: { type: 'final', tags: ['denied'], meta: { label: 'expired' } },
    abandoned: { type: 'final', tags: ['denied'], meta: { label: 'abandoned' } },
  },
});

export const signup = {
  id: 'signup',
  version: 2,
  context: signupContextSchema,
  events: signupEvents,
  machine: signupMachine,
  upgrades: { 1: signupV1toV2 },
  repair: (known) => repairSignup(known, NEW_SIGNUP),
  needsActiveAccount: true,
  usual: usualSignup,
} satisfies MachineModule;
