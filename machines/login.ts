/** Login, L1 to L6, for every way in. Eventless stages, read top to bottom; it rests only where a person must act. */
import { and, assign, setup } from 'xstate';
import { z } from 'zod';
import { effects } from './effects.ts';
import { count, duration, moment, word } from './fields.ts';
import { bare, type EventsOf, event, type MachineModule, timeUp } from './module.ts';
import { SAMPLE } from './samples.ts';
import { loginV1toV2, loginV2toV3 } from './upgrades.ts';

const MINUTE = 60_000;

/** What an answer at L4 shows: that the owner is present, or a second kind of factor (NIST AAL2). The second shows both. */
export const LEVELS = ['presence', 'second'] as const;
export type Level = (typeof LEVELS)[number];

/** One way to answer L4. Kinds are words to the machine: what one is worth stands beside it. */
export const factorSchema = z.strictObject({
  id: z.string(),
  kind: z.string(),
  level: z.enum(LEVELS),
  /** RFC 8176 names of what it proves. */
  amr: z.array(z.string()),
  /** Where its code goes; it answers no login that began by that very contact. */
  contactId: z.string().optional(),
});
export type Factor = z.infer<typeof factorSchema>;

export const METHODS = ['phone_code', 'password', 'oauth', 'passkey', 'signup'] as const;
export type Method = (typeof METHODS)[number];

/** What the database says of the account behind a proven identifier, read in the same commit. */
export const subjectSchema = z.strictObject({
  accountId: z.string(),
  status: z.enum(['active', 'blocked', 'deleted', 'archived']),
  tier: z.enum(['UNVERIFIED', 'LIMITED', 'FULL']),
  /** Factors the account has set up and may use now. */
  factors: z.array(factorSchema),
  /** Whether it has enrolled a second factor, usable or not: then no login passes without one. */
  mfa: z.boolean(),
  knownDevice: z.boolean(),
  /** False for a known device whose owner wants it to answer the PIN each time. */
  trustedDevice: z.boolean().optional(),
  /** Moves with every new password; 0 while none was ever set. */
  passwordVersion: z.int(),
  /** The password came back with a backup: it may be one the owner has given up since, so it needs a code beside it. */
  passwordRestored: z.boolean().optional(),
  /** False while the identifier that found the account still waits for its code. */
  contactProven: z.boolean().optional(),
  /** The proven address to tell of a new device; absent without one. */
  mailContactId: z.string().optional(),
  /** How it came in, where that is not by phone. */
  signupEntry: z.literal('email').optional(),
  /** The sign-up to continue when there is no tier yet. */
  signupFlowId: z.string().nullable(),
});
export type Subject = z.infer<typeof subjectSchema>;

export const loginContextSchema = z.strictObject({
  contactId: z.string().nullable(),
  subject: subjectSchema.nullable(),
  /** As it was when the first factor was proven; null: not known, so nothing passes for it. */
  passwordVersion: z.int().nullable(),
  sessionId: z.string(),
  deviceId: z.string().nullable(),
  persistent: z.boolean(),
  /** When the session ends at the latest, where the way in says so. Snapshots from before it was kept have none. */
  endsAt: z.int().nullable().default(null),
  highRisk: z.boolean(),
  method: z.enum(METHODS),
  /** What the first proof is worth by itself: a passkey that verified its user is two factors. */
  firstProof: z.enum(['aal1', 'aal2']),
  /** What L4 waits for; null: nothing. */
  required: z.enum(LEVELS).nullable(),
  satisfied: z.array(factorSchema),
  attemptsLeft: z.int().min(0),
  scope: z.array(z.string()),
  denial: z.string().nullable(),
  provedAt: z.int(),
  dueAt: z.int().nullable(),
});
export type LoginContext = z.infer<typeof loginContextSchema>;

/** What is taken for granted about the account behind a login. */
const SAMPLE_SUBJECT: Subject = {
  accountId: SAMPLE.account,
  status: 'active',
  tier: 'FULL',
  factors: [{ id: 'pin', kind: 'pin', level: 'presence', amr: ['pin'] }],
  mfa: false,
  knownDevice: true,
  passwordVersion: 1,
  signupFlowId: null,
};

export const loginEvents = {
  PRIMARY_PROVED: event(
    {
      method: z.enum(METHODS),
      contactId: word.nullable(),
      subject: subjectSchema.nullable(),
      sessionId: word,
      deviceId: word.nullable(),
      persistent: z.boolean(),
      endsAt: moment.nullable(),
      highRisk: z.boolean(),
      firstProof: z.enum(['aal1', 'aal2']),
      /** Id of the factor whose right answer came with the first proof; null without one. */
      answered: word.nullable(),
      stepUp: z.strictObject({ attempts: count, ttlMs: duration }),
      /** A spending cap was reached: a code is asked for, but none is sent. */
      codeSuppressed: z.boolean().optional(),
    },
    () => ({
      method: 'phone_code' as const,
      contactId: SAMPLE.contact,
      subject: SAMPLE_SUBJECT,
      sessionId: SAMPLE.session,
      deviceId: null,
      persistent: false,
      endsAt: null,
      highRisk: false,
      firstProof: 'aal1' as const,
      answered: null,
      stepUp: { attempts: 3, ttlMs: 10 * MINUTE },
    }),
  ),
  STEP_UP_ANSWERED: event(
    {
      factorId: word,
      ok: z.boolean(),
      /** Wrong answers to this factor before, as counted for the account. */
      failures: count,
      subject: subjectSchema.nullable(),
    },
    (c: Asked) => ({
      factorId: waysToAnswer(c)[0]?.id ?? 'pin',
      ok: true,
      failures: 0,
      subject: c.subject ?? SAMPLE_SUBJECT,
    }),
  ),
  EXPIRE: bare,
};
export type LoginEvent = EventsOf<typeof loginEvents>;

const START: LoginContext = {
  contactId: null,
  subject: null,
  passwordVersion: null,
  sessionId: '',
  deviceId: null,
  persistent: false,
  endsAt: null,
  highRisk: false,
  method: 'phone_code',
  firstProof: 'aal1',
  required: null,
  satisfied: [],
  attemptsLeft: 0,
  scope: [],
  denial: null,
  provedAt: 0,
  dueAt: null,
};

const SCOPES = { UNVERIFIED: [], LIMITED: ['profile:read', 'kyc:write'], FULL: ['*'] } as const;

/** L3: what a tier grants now; the database decides, whatever an older token says. */
export const scopeOf = (tier: Subject['tier']): readonly string[] => SCOPES[tier];

/** What this login still needs: a second factor where one is enrolled, else presence on a new device or at high risk. */
const levelNeeded = ({ subject, method, firstProof, highRisk }: LoginContext): Level | null => {
  if (!subject || method === 'signup' || firstProof === 'aal2') return null;
  if (subject.mfa) return 'second';
  const suspicious = !subject.knownDevice || subject.trustedDevice === false || highRisk;
  return suspicious && subject.factors.some((f) => f.level === 'presence') ? 'presence' : null;
};

const reaches = (factor: Factor, level: Level): boolean => factor.level === 'second' || level === 'presence';

/** A code to the contact that named the account. A login sends one at most; for another one the person logs in again. */
export const LOGIN_CODE = {
  id: 'login_code',
  kind: 'login_code',
  level: 'presence',
  amr: ['otp'],
} satisfies Factor;
export const LOGIN_CODE_COUNTER = 1;

type Asked = Pick<LoginContext, 'subject' | 'required' | 'contactId' | 'method' | 'satisfied'>;

/** Beside a password that came back with a backup. */
const codeMissing = ({ method, subject, satisfied }: Omit<Asked, 'required' | 'contactId'>): boolean =>
  method === 'password' &&
  subject?.passwordRestored === true &&
  !satisfied.some((f) => f.id === LOGIN_CODE.id);

/** Factors that answer what L4 waits for. */
export const waysToAnswer = (c: Asked): Factor[] => {
  const { required, satisfied } = c;
  const levelMissing = required !== null && !satisfied.some((f) => reaches(f, required));
  return [
    ...(codeMissing(c) ? [LOGIN_CODE] : []),
    ...(levelMissing ? usable(c).filter((f) => reaches(f, required)) : []),
  ];
};

/** What began the login is no second way to prove it. */
const usable = ({ subject, contactId }: Pick<LoginContext, 'subject' | 'contactId'>): Factor[] =>
  (subject?.factors ?? []).filter((f) => f.contactId === undefined || f.contactId !== contactId);

/** Whose wrong passwords these were: an identifier that still waits for its code counts for itself. */
const countedOn = ({ subject, contactId }: LoginContext): string =>
  (subject?.contactProven === false ? contactId : subject?.accountId) ?? '';

const hasSecondFactor = (c: LoginContext): boolean => c.satisfied.some((f) => f.level === 'second');

/** A PIN shows presence but is no second kind of factor. */
export const assurance = (c: LoginContext): 'aal1' | 'aal2' =>
  c.firstProof === 'aal2' || hasSecondFactor(c) ? 'aal2' : 'aal1';

/** RFC 8176 names of what was proven. */
export const methodsUsed = (c: LoginContext): string[] => [
  ...new Set([
    ...(
      {
        phone_code: ['otp', 'sms'],
        password: ['pwd'],
        oauth: ['fed'],
        passkey: ['user'],
        signup: ['otp'],
      } as const
    )[c.method],
    ...c.satisfied.flatMap((f) => f.amr),
    ...(assurance(c) === 'aal2' ? ['mfa'] : []),
  ]),
];

type Args = { context: LoginContext };

const machine = setup({
  types: { context: {} as LoginContext, events: {} as LoginEvent },
  actions: effects(),
  guards: {
    accountKnown: ({ context }) => context.subject !== null,
    byPassword: ({ event }) => event.type === 'PRIMARY_PROVED' && event.method === 'password',
    contactProven: ({ context }) => context.subject?.contactProven !== false,
    accountActive: ({ context }) => context.subject?.status === 'active',
    /** Whoever sets a new password ends what others have begun, by whichever way in. */
    proofStands: ({ context }) => context.subject?.passwordVersion === context.passwordVersion,
    tierGranted: ({ context }) => context.subject?.tier === 'LIMITED' || context.subject?.tier === 'FULL',
    factorsSatisfied: ({ context: c }) =>
      (c.required === null || c.satisfied.some((f) => c.required !== null && reaches(f, c.required))) &&
      !codeMissing(c),
    answerAccepted: ({ context, event }) =>
      event.type === 'STEP_UP_ANSWERED' &&
      event.ok &&
      event.now < (context.dueAt ?? 0) &&
      context.attemptsLeft > 0 &&
      event.subject?.accountId === context.subject?.accountId &&
      // As they are by now: what was taken away meanwhile answers nothing.
      waysToAnswer({ ...context, subject: event.subject }).some((f) => f.id === event.factorId),
    timeUp,
    lastAnswer: ({ context, event }) =>
      context.attemptsLeft <= 1 || (event.type === 'STEP_UP_ANSWERED' && event.now >= (context.dueAt ?? 0)),
  },
});

/** What came with the first proof is used up with it. */
const useAnswer = {
  type: 'useFactor',
  params: ({ context: c, event: e }: { context: LoginContext; event: LoginEvent }) => ({
    accountId: c.subject?.accountId ?? '',
    factorId: e.type === 'PRIMARY_PROVED' ? e.answered : null,
  }),
} as const;

const takePrimary = machine.assign(({ event: e }) =>
  e.type === 'PRIMARY_PROVED'
    ? {
        contactId: e.contactId,
        subject: e.subject,
        passwordVersion: e.subject?.passwordVersion ?? null,
        sessionId: e.sessionId,
        deviceId: e.deviceId,
        persistent: e.persistent,
        endsAt: e.endsAt,
        highRisk: e.highRisk,
        method: e.method,
        firstProof: e.firstProof,
        satisfied: usable(e).filter((f) => f.id === e.answered),
        attemptsLeft: e.stepUp.attempts,
        provedAt: e.now,
        dueAt: e.now + e.stepUp.ttlMs,
      }
    : {},
);

const countWrong = {
  type: 'countFactorFailure',
  params: ({ context: c, event: e }: { context: LoginContext; event: LoginEvent }) => ({
    accountId: c.subject?.accountId ?? '',
    factorId: e.type === 'STEP_UP_ANSWERED' ? e.factorId : '',
    failures: e.type === 'STEP_UP_ANSWERED' ? e.failures : 0,
  }),
} as const;

export const loginMachine = machine.createMachine({
  id: 'login',
  context: START,
  initial: 'idle',
  states: {
    idle: {
      meta: { label: 'nothing proven yet' },
      on: {
        PRIMARY_PROVED: [
          {
            guard: 'byPassword',
            target: 'L1_identity',
            actions: [
              takePrimary,
              useAnswer,
              {
                type: 'clearLoginFailures',
                params: ({ context: c }: Args) => ({
                  subjectId: countedOn(c),
                  deviceId: c.subject?.knownDevice ? c.deviceId : null,
                }),
              },
            ],
          },
          { target: 'L1_identity', actions: [takePrimary, useAnswer] },
        ],
      },
    },
    L1_identity: {
      meta: { label: 'L1 identity lookup' },
      always: [{ guard: 'accountKnown', target: 'L2_status' }, { target: 'L6_result.ONBOARDING_REQUIRED' }],
    },
    L2_status: {
      meta: { label: 'L2 user status' },
      always: [
        { guard: and(['accountActive', 'contactProven', 'proofStands']), target: 'L3_guard' },
        {
          guard: and(['accountActive', 'contactProven']),
          target: 'L6_result.DENIED',
          actions: assign({ denial: 'password_changed' }),
        },
        {
          guard: 'accountActive',
          target: 'L6_result.DENIED',
          actions: assign({ denial: 'email_not_verified' }),
        },
        { target: 'L6_result.DENIED', actions: assign({ denial: 'account_blocked' }) },
      ],
    },
    L3_guard: {
      meta: { label: 'L3 account guard' },
      always: [
        {
          guard: 'tierGranted',
          target: 'L4_step_up',
          actions: [
            assign(({ context: c }) => ({
              scope: [...scopeOf(c.subject?.tier ?? 'UNVERIFIED')],
              required: levelNeeded(c),
            })),
            {
              type: 'sendLoginCode',
              params: ({ context: c, event: e }) => ({
                contactId:
                  e.type === 'PRIMARY_PROVED' && !e.codeSuppressed && codeMissing(c) ? c.contactId : null,
                expiresAt: c.dueAt ?? 0,
              }),
            },
          ],
        },
        { target: 'L6_result.ONBOARDING_REQUIRED' },
      ],
    },
    L4_step_up: {
      tags: ['step-up'],
      meta: { label: 'L4 step-up', budgetMs: 600_000 },
      always: { guard: 'factorsSatisfied', target: 'L5_tokens' },
      on: {
        STEP_UP_ANSWERED: [
          {
            guard: 'answerAccepted',
            target: 'L2_status',
            actions: [
              assign(({ context: c, event: e }) => ({
                subject: e.subject,
                satisfied: [
                  ...c.satisfied,
                  ...waysToAnswer({ ...c, subject: e.subject }).filter((f) => f.id === e.factorId),
                ],
              })),
              {
                type: 'useFactor',
                params: ({ context: c, event: e }) => ({
                  accountId: c.subject?.accountId ?? '',
                  factorId: e.factorId,
                }),
              },
            ],
          },
          {
            guard: 'lastAnswer',
            target: 'L6_result.DENIED',
            actions: [assign({ denial: 'step_up_failed', attemptsLeft: 0 }), countWrong],
          },
          {
            target: 'L4_step_up',
            actions: [
              assign(({ context: c }) => ({ attemptsLeft: c.attemptsLeft - 1 })),
              countWrong,
              {
                type: 'audit',
                params: ({ context: c }) => ({
                  type: 'login.step_up_failed',
                  accountId: c.subject?.accountId ?? null,
                  outcome: 'failure',
                }),
              },
            ],
          },
        ],
        EXPIRE: { guard: 'timeUp', target: 'L6_result.DENIED', actions: assign({ denial: 'expired' }) },
      },
    },
    L5_tokens: {
      meta: { label: 'L5 token issuance' },
      entry: [
        {
          type: 'openSession',
          params: ({ context: c }) => ({
            sessionId: c.sessionId,
            accountId: c.subject?.accountId ?? '',
            deviceId: c.deviceId,
            amr: methodsUsed(c),
            acr: assurance(c),
            scope: c.scope,
            persistent: c.persistent,
            endsAt: c.endsAt,
            at: c.provedAt,
          }),
        },
        {
          type: 'confirmPassword',
          params: ({ context: c }) => ({
            accountId: c.satisfied.some((f) => f.id === LOGIN_CODE.id)
              ? (c.subject?.accountId ?? null)
              : null,
          }),
        },
        {
          type: 'publish',
          params: ({ context: c }) => ({ type: 'session.created', accountId: c.subject?.accountId ?? null }),
        },
        {
          type: 'publish',
          params: ({ context: c }) => ({ type: 'user.login', accountId: c.subject?.accountId ?? null }),
        },
        {
          type: 'sendMail',
          params: ({ context: c }) => ({
            template: 'new_device' as const,
            contactId: c.subject?.knownDevice ? null : (c.subject?.mailContactId ?? null),
          }),
        },
      ],
      always: 'L6_result.AUTHENTICATED',
    },
    L6_result: {
      meta: { label: 'L6 result' },
      initial: 'DENIED',
      entry: assign({ dueAt: null }),
      states: {
        AUTHENTICATED: { type: 'final', tags: ['granted'], meta: { label: 'AUTHENTICATED' } },
        ONBOARDING_REQUIRED: { type: 'final', meta: { label: 'ONBOARDING_REQUIRED' } },
        DENIED: {
          type: 'final',
          tags: ['denied'],
          meta: { label: 'DENIED' },
          entry: {
            type: 'publish',
            params: ({ context: c }) => ({
              type: 'login.denied',
              accountId: c.subject?.accountId ?? null,
              outcome: 'failure',
              reason: c.denial,
            }),
          },
        },
      },
    },
  },
});

export const login = {
  id: 'login',
  version: 3,
  context: loginContextSchema,
  events: loginEvents,
  machine: loginMachine,
  upgrades: { 1: loginV1toV2, 2: loginV2toV3 },
  needsActiveAccount: false,
  usual: (state, now) =>
    state === 'idle'
      ? {}
      : {
          contactId: SAMPLE.contact,
          subject: { ...SAMPLE_SUBJECT, knownDevice: false },
          passwordVersion: SAMPLE_SUBJECT.passwordVersion,
          sessionId: SAMPLE.session,
          required: 'presence',
          scope: ['*'],
          attemptsLeft: 3,
          provedAt: now,
          dueAt: state.startsWith('L6_result') ? null : now + 10 * MINUTE,
        },
} satisfies MachineModule;
