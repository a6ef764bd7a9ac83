/** Proof of possession of a phone or mailbox by a one-time code: for a login, or to add a contact to an account. */
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
import { effects, PURPOSES } from './effects.ts';
import { duration, word } from './fields.ts';
import { bare, type EventsOf, event, type MachineModule, timeUp } from './module.ts';
import { SAMPLE } from './samples.ts';
import { challengeV1toV2 } from './upgrades.ts';

const MINUTE = 60_000;

export const challengeContextSchema = z.strictObject({
  contactId: z.string(),
  /** The account that adds a contact; null while nobody is identified yet. */
  accountId: z.string().nullable(),
  purpose: z.enum(PURPOSES),
  /** For whom the proof is, when others rely on it; codes of one audience are unknown to another. */
  audience: z.string().nullable(),
  code: codeSchema,
  capitals: capitalsSchema,
  dueAt: z.int().nullable(),
});
export type ChallengeContext = z.infer<typeof challengeContextSchema>;

export const challengeEvents = {
  CODE_REQUESTED: event(
    {
      contactId: word,
      accountId: word.nullable(),
      audience: word.nullable(),
      purpose: z.enum(PURPOSES),
      terms: codeTermsSchema,
      /** A spending cap was reached: accepted, but nothing is sent. */
      suppressed: z.boolean(),
      ttlMs: duration,
      capitals: capitalsSchema,
    },
    (c: Pick<ChallengeContext, 'contactId' | 'accountId' | 'audience' | 'purpose'>) => ({
      contactId: c.contactId || SAMPLE.contact,
      accountId: c.accountId,
      audience: c.audience,
      purpose: c.purpose,
      terms: SAMPLE_TERMS,
      suppressed: false,
      ttlMs: 10 * MINUTE,
    }),
  ),
  CODE_CHECKED: event(
    {
      verdict: codeVerdictSchema,
      /** The login, or the change of an account's contacts, that a proven code opens; null when it only proves. */
      opens: openingSchema.nullable(),
    },
    (c: Pick<ChallengeContext, 'code'>) => ({ verdict: sampleVerdict(c.code), opens: null }),
    { opens: SAMPLE_OPENING },
  ),
  EXPIRE: bare,
};
export type ChallengeEvent = EventsOf<typeof challengeEvents>;

/** Effects of this machine alone. Ids, verdicts, counters and times only: parameters may be logged and stored. */
export type ChallengeEffects = {
  /** The account's new contact is the one of its type to use from now on. */
  preferContact: { accountId: string; contactId: string };
};

const machine = setup({
  types: { context: {} as ChallengeContext, events: {} as ChallengeEvent },
  actions: effects<ChallengeEffects>(),
  guards: {
    sendSuppressed: ({ event }) => event.type === 'CODE_REQUESTED' && event.suppressed,
    lockOver: ({ context, event }) => event.type === 'CODE_REQUESTED' && unlocked(context.code, event.now),
    codeAccepted: ({ context, event }) =>
      event.type === 'CODE_CHECKED' && accepted(context.code, event.verdict, event.now),
    opensLogin: ({ context, event }) =>
      event.type === 'CODE_CHECKED' && event.opens !== null && context.accountId === null,
    addsContact: ({ context, event }) =>
      event.type === 'CODE_CHECKED' && event.opens !== null && context.accountId !== null,
    timeUp,
    lastCheck: ({ context, event }) => event.type === 'CODE_CHECKED' && exhausts(context.code, event.verdict),
  },
});

type Args = { context: ChallengeContext; event: ChallengeEvent };
const ask = machine.assign(({ context, event: e }) =>
  e.type === 'CODE_REQUESTED'
    ? {
        contactId: e.contactId,
        accountId: e.accountId,
        audience: e.audience,
        purpose: e.purpose,
        ...spelling(e),
        code: issued(context.code, e.terms, e.now),
        dueAt: e.now + e.ttlMs,
      }
    : {},
);
/** A resend is for whom and what the challenge was opened for, whatever the event says. */
const again = machine.assign(({ context, event: e }) =>
  e.type === 'CODE_REQUESTED' ? { code: issued(context.code, e.terms, e.now), dueAt: e.now + e.ttlMs } : {},
);
const spend = machine.assign(({ context, event: e }) =>
  e.type === 'CODE_CHECKED' ? { code: spent(context.code, e.verdict, e.now) } : {},
);
const send = {
  type: 'sendCode',
  params: ({ context: c }: Args) => ({
    contactId: c.contactId,
    purpose: c.purpose,
    counter: c.code.counter,
    ...spelling(c),
    expiresAt: c.code.expiresAt,
  }),
} as const;
const record = (type: string, outcome: 'success' | 'failure') =>
  ({ type: 'audit', params: ({ context: c }: Args) => ({ type, accountId: c.accountId, outcome }) }) as const;
const sent = record('code.sent', 'success');
const suppressed = record('code.suppressed', 'failure');
const failed = record('code.failed', 'failure');
const attempt = <T extends 'clearFailures' | 'countFailure'>(type: T) =>
  ({
    type,
    params: ({ context: c, event: e }: Args) => ({
      contactId: c.contactId,
      holder: e.type === 'CODE_CHECKED' && e.verdict.holder,
    }),
  }) as const;
const clear = attempt('clearFailures');
const ownContact = ({ context: c }: Args) => ({ accountId: c.accountId ?? '', contactId: c.contactId });
const claim = {
  type: 'claimContact',
  params: (args: Args) => ({ ...ownContact(args), ...spelling(args.context) }),
} as const;
const prefer = { type: 'preferContact', params: ownContact } as const;
const open = <M extends string>(machine: M) =>
  ({
    type: 'openFlow',
    params: ({ event: e }: Args) => {
      const { flowId, event } = (e.type === 'CODE_CHECKED' ? e.opens : null)!;
      return { machine, flowId, event };
    },
  }) as const;
const added = ({ context: c }: Args) => ({ type: 'contact.added', accountId: c.accountId });
const count = attempt('countFailure');

export const challengeMachine = machine.createMachine({
  id: 'challenge',
  context: {
    contactId: '',
    accountId: null,
    audience: null,
    purpose: 'login',
    code: NO_CODE,
    dueAt: null,
  },
  initial: 'idle',
  states: {
    idle: {
      meta: { label: 'no code yet' },
      on: {
        CODE_REQUESTED: [
          { guard: 'sendSuppressed', target: 'code_sent', actions: [ask, suppressed] },
          { target: 'code_sent', actions: [ask, send, sent] },
        ],
      },
    },
    code_sent: {
      meta: { label: 'code sent', budgetMs: 600_000 },
      on: {
        CODE_REQUESTED: [
          { guard: 'sendSuppressed', target: 'code_sent', actions: [again, suppressed] },
          { target: 'code_sent', actions: [again, send, sent] },
        ],
        CODE_CHECKED: [
          {
            guard: and(['codeAccepted', 'opensLogin']),
            target: 'verified',
            actions: [clear, open('login')],
          },
          {
            guard: and(['codeAccepted', 'addsContact']),
            target: 'verified',
            actions: [clear, claim, prefer, { type: 'publish', params: added }, open('contact_change')],
          },
          {
            guard: 'codeAccepted',
            target: 'verified',
            actions: clear,
          },
          { guard: 'lastCheck', target: 'locked', actions: [spend, count, failed] },
          { target: 'code_sent', actions: [spend, count, failed] },
        ],
        EXPIRE: { guard: 'timeUp', target: 'expired' },
      },
    },
    locked: {
      meta: { label: 'locked after too many wrong codes', budgetMs: 3_600_000 },
      tags: ['locked'],
      on: {
        CODE_REQUESTED: [
          { guard: and(['lockOver', 'sendSuppressed']), target: 'code_sent', actions: [again, suppressed] },
          { guard: 'lockOver', target: 'code_sent', actions: [again, send, sent] },
        ],
        CODE_CHECKED: { target: 'locked', actions: [count, failed] },
        EXPIRE: { guard: 'timeUp', target: 'expired' },
      },
    },
    verified: { type: 'final', tags: ['verified'], meta: { label: 'verified' } },
    expired: { type: 'final', tags: ['denied'], meta: { label: 'expired' } },
  },
});

export const challenge = {
  id: 'challenge',
  version: 2,
  context: challengeContextSchema,
  events: challengeEvents,
  machine: challengeMachine,
  upgrades: { 1: challengeV1toV2 },
  needsActiveAccount: false,
  usual: (state, now) =>
    state === 'idle'
      ? {}
      : { contactId: SAMPLE.contact, code: usualCode(state, now), dueAt: now + 10 * MINUTE },
} satisfies MachineModule;
