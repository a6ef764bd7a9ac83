/**
 * The facts each event carries, as somebody who only asks "what if" may state them: every one has a usual value. Events
 * made here are shown to the machine and forgotten; nothing may send them to a flow.
 */
import { z } from 'zod';
import type { MachineId } from '../../../machines/index.ts';
import { METHODS, subjectSchema } from '../../../machines/login.ts';
import { SAMPLE, SAMPLE_SUBJECT } from '../../../machines/samples.ts';
import { riskSchema } from '../../../machines/signup-context.ts';
import { WORD } from '../../kernel/words.ts';

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

const word = z.string().regex(WORD);
const flag = (usual: boolean) => z.boolean().default(usual);
const ms = (usual: number) =>
  z
    .int()
    .min(1)
    .max(400 * DAY)
    .default(usual);
const small = (usual: number) => z.int().min(0).max(1000).default(usual);
const id = (usual: string) => word.default(usual);
const nullableInt = z.int().nullable();
const none = word.nullable().default(null);

/** The parts of a context that events refer to; machines have more. */
export type Known = {
  code?: { counter: number };
  kyc?: { id: string; sequence: number } | null;
  subject?: z.infer<typeof subjectSchema> | null;
  passwordVersion?: number | null;
  accountId?: string | null;
  purpose?: string;
};
type Facts = (c: Known, now: number) => z.ZodRawShape;

const terms = z
  .strictObject({ ttlMs: ms(5 * MINUTE), attempts: small(5), openAttempts: small(5) })
  .prefault({});
const asked: Facts = () => ({ terms, suppressed: flag(false) });
const verdict = (c: Known) =>
  z
    .strictObject({
      counter: z.int().default(c.code?.counter ?? 1),
      matches: flag(true),
      holder: flag(true),
      lockMs: ms(60 * MINUTE),
    })
    .prefault({});
const risk = (now: number) =>
  riskSchema
    .extend({
      decision: riskSchema.shape.decision.default('ALLOW'),
      reasons: z.array(word).max(10).default([]),
      at: z.int().default(now),
    })
    .prefault({});
const opening = { contactId: id(SAMPLE.contact), ttlMs: ms(30 * DAY) };
const opened = z
  .strictObject({
    flowId: id(SAMPLE.flow),
    event: z.strictObject({ type: z.enum(['PRIMARY_PROVED', 'CONTACT_ADDED']) }),
  })
  .nullable()
  .default(null);
const owner = z
  .strictObject({ accountId: id(SAMPLE.account), tier: subjectSchema.shape.tier, signupFlowId: none })
  .nullable()
  .default(null);
const subject = (usual: Known['subject']) =>
  subjectSchema
    .partial()
    .transform((given) => subjectSchema.parse({ ...SAMPLE_SUBJECT, ...given }))
    .nullable()
    .default({ ...SAMPLE_SUBJECT, ...usual });
const ruling: Facts = (c) => ({
  kycId: id(c.kyc?.id ?? SAMPLE.kyc),
  sequence: z.int().default((c.kyc?.sequence ?? 0) + 1),
  reason: none,
  by: id('provider'),
});
const presented = z.enum(['token', 'grant']).default('token');
const tokenTtlMs = ms(15 * MINUTE);
const changed = {
  contactId: id(SAMPLE.contact),
  accountId: id(SAMPLE.account),
  readers: z.array(word).max(10).default([SAMPLE.previous]),
  ttlMs: ms(3 * DAY),
};

const FACTS: Partial<Record<MachineId, Record<string, Facts>>> = {
  signup: {
    PHONE_SUBMITTED: (c, now) => ({ ...asked(c, now), ...opening, restart: flag(false) }),
    REGISTERED: (c, now) => ({ ...asked(c, now), ...opening, accountId: id(SAMPLE.account) }),
    IMPORTED: (_c, now) => ({
      contactId: id(SAMPLE.contact),
      otherContactId: none,
      accountId: id(SAMPLE.account),
      contactVerified: flag(true),
      risk: risk(now),
      ttlMs: ms(30 * DAY),
    }),
    CODE_REQUESTED: asked,
    CODE_CHECKED: (c, now) => ({
      verdict: verdict(c),
      owner,
      accountId: id(SAMPLE.account),
      grant: flag(false),
      tokenTtlMs,
      risk: risk(now),
      login: opened,
    }),
    PASSWORD_SET: () => ({ presented, pinSet: flag(false), tokenTtlMs }),
    PROFILE_SUBMITTED: (_c, now) => ({ risk: risk(now), login: opened }),
    RISK_EVALUATED: (c, now) => ({
      stage: z.enum(['signup', 'kyc']).default(c.kyc ? 'kyc' : 'signup'),
      risk: risk(now),
    }),
    REVIEW_DECIDED: () => ({ approve: flag(true), reviewer: id('reviewer'), reason: none }),
    KYC_SUBMITTED: () => ({ kycId: id(SAMPLE.kyc) }),
    KYC_APPROVED: (c, now) => ({ ...ruling(c, now), risk: risk(now) }),
    KYC_REJECTED: (c, now) => ({ ...ruling(c, now), retryable: flag(true) }),
    KYC_REVIEW_REQUIRED: ruling,
    KYC_REVOKED: (c, now) => ({ ...ruling(c, now), retryable: flag(true) }),
    ABANDON: () => ({}),
    EXPIRE: () => ({}),
  },
  login: {
    PRIMARY_PROVED: () => ({
      method: z.enum(METHODS).default('phone_code'),
      contactId: word.nullable().default(SAMPLE.contact),
      subject: subject(null),
      sessionId: id(SAMPLE.session),
      deviceId: none,
      persistent: flag(false),
      endsAt: nullableInt.default(null),
      highRisk: flag(false),
      firstProof: z.enum(['aal1', 'aal2']).default('aal1'),
      answered: none,
      stepUp: z.strictObject({ attempts: small(3), ttlMs: ms(10 * MINUTE) }).prefault({}),
    }),
    STEP_UP_ANSWERED: (c) => ({
      factorId: id(c.subject?.factors.at(-1)?.id ?? 'pin'),
      ok: flag(true),
      failures: small(0),
      subject: subject(c.subject),
    }),
    EXPIRE: () => ({}),
  },
  challenge: {
    CODE_REQUESTED: (c, now) => ({
      ...{ ...asked(c, now), contactId: id(SAMPLE.contact), accountId: none, audience: none },
      purpose: z.enum(['login', 'signup', 'email', 'contact', 'proof']).default('login'),
      ttlMs: ms(10 * MINUTE),
    }),
    CODE_CHECKED: (c) => ({ verdict: verdict(c), opens: opened }),
    EXPIRE: () => ({}),
  },
  recovery: {
    RESET_REQUESTED: () => ({
      contactId: id(SAMPLE.contact),
      accountId: word.nullable().default(SAMPLE.account),
      passwordVersion: nullableInt.default(1),
      suppressed: flag(false),
      ttlMs: ms(30 * MINUTE),
    }),
    PASSWORD_RESET: (c) => ({
      passwordVersion: nullableInt.default(c.passwordVersion ?? 1),
      ownerId: word.nullable().default(c.accountId ?? SAMPLE.account),
    }),
    EXPIRE: () => ({}),
  },
  factor: {
    SETUP_STARTED: () => ({
      accountId: id(SAMPLE.account),
      factorId: id(SAMPLE.factor),
      kind: id('totp'),
      attempts: small(3),
      ttlMs: ms(10 * MINUTE),
    }),
    CONFIRMED: () => ({ ok: flag(true), sessionId: id(SAMPLE.session), codesDue: flag(true) }),
    DISABLED: () => ({
      authorized: flag(true),
      othersLeft: flag(false),
      sessionId: word.nullable().default(SAMPLE.session),
    }),
    REPLACED: () => ({ authorized: flag(true) }),
    LOCKED: () => ({}),
    EXPIRE: () => ({}),
  },
  contact_change: {
    CONTACT_ADDED: () => ({ ...changed, previousId: word.nullable().default(SAMPLE.previous) }),
    CONTACT_REMOVED: () => changed,
    CHANGE_UNDONE: (c) => ({
      ownerId: word.nullable().default(c.purpose === 'removed' ? null : (c.accountId ?? SAMPLE.account)),
      previousFree: flag(true),
      othersLeft: small(1),
    }),
    EXPIRE: () => ({}),
  },
};

/** The event with every fact in place. A machine without a list takes events that carry nothing but the time. */
export function completeEvent(
  machine: MachineId,
  context: Known,
  { type, now, ...facts }: { type: string; now: number },
): z.ZodSafeParseResult<{ type: string; now: number }> {
  const shape = FACTS[machine]?.[type]?.(context, now) ?? {};
  return z
    .strictObject(shape)
    .transform((given) => ({ ...given, type, now }))
    .safeParse(facts);
}
