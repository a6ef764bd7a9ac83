/** Password recovery: one token, one use, thirty minutes. What it opens is a new password, never a session. */
import { and, setup } from 'xstate';
import { z } from 'zod';
import { effects } from './effects.ts';
import { duration, word } from './fields.ts';
import { bare, type EventsOf, event, type MachineModule, timeUp } from './module.ts';
import { SAMPLE } from './samples.ts';

const MINUTE = 60_000;

export const recoveryContextSchema = z.strictObject({
  contactId: z.string(),
  /** Null for an address nobody owns: the flow exists so that both cases do the same work. */
  accountId: z.string().nullable(),
  /** The password the token was asked for; any other change of it voids the token. */
  passwordVersion: z.int().nullable(),
  dueAt: z.int().nullable(),
});
export type RecoveryContext = z.infer<typeof recoveryContextSchema>;

export const recoveryEvents = {
  RESET_REQUESTED: event(
    {
      contactId: word,
      accountId: word.nullable(),
      passwordVersion: z.int().nullable(),
      /** The mailbox's budget is used up: accepted, but nothing is sent. */
      suppressed: z.boolean(),
      ttlMs: duration,
    },
    () => ({
      contactId: SAMPLE.contact,
      accountId: SAMPLE.account,
      passwordVersion: 1,
      suppressed: false,
      ttlMs: 30 * MINUTE,
    }),
  ),
  PASSWORD_RESET: event(
    {
      passwordVersion: z.int().nullable(),
      /** Whose the contact is by now. */
      ownerId: word.nullable(),
    },
    (c: Pick<RecoveryContext, 'passwordVersion' | 'accountId'>) => ({
      passwordVersion: c.passwordVersion ?? 1,
      ownerId: c.accountId ?? SAMPLE.account,
    }),
  ),
  EXPIRE: bare,
};
export type RecoveryEvent = EventsOf<typeof recoveryEvents>;

/** Effects of this machine alone. Ids, verdicts, counters and times only: parameters may be logged and stored. */
export type RecoveryEffects = {
  /** Codes under way for the account's contacts or for new ones, and logins under way, are over. */
  cancelPendingFlows: { accountId: string };
  /** Earlier active flows of this machine for the contact are over: their tokens die with this commit. */
  supersedeFlows: { contactId: string };
};

const machine = setup({
  types: { context: {} as RecoveryContext, events: {} as RecoveryEvent },
  actions: effects<RecoveryEffects>(),
  guards: {
    ownerKnown: ({ event }) =>
      event.type === 'RESET_REQUESTED' && event.accountId !== null && event.passwordVersion !== null,
    sendSuppressed: ({ event }) => event.type === 'RESET_REQUESTED' && event.suppressed,
    timeUp,
    tokenLives: ({ context, event }) =>
      event.type === 'PASSWORD_RESET' &&
      event.now < (context.dueAt ?? 0) &&
      event.passwordVersion === context.passwordVersion,
    /** A link sent to an address that the account has given up sets no password of it. */
    stillOwned: ({ context, event }) =>
      event.type === 'PASSWORD_RESET' && event.ownerId !== null && event.ownerId === context.accountId,
  },
});

type Args = { context: RecoveryContext };

const ask = machine.assign(({ event: e }) =>
  e.type === 'RESET_REQUESTED'
    ? {
        contactId: e.contactId,
        accountId: e.accountId,
        passwordVersion: e.passwordVersion,
        dueAt: e.now + e.ttlMs,
      }
    : {},
);
const supersede = {
  type: 'supersedeFlows',
  params: ({ context: c }: Args) => ({ contactId: c.contactId }),
} as const;
const audit = (type: string, outcome: 'success' | 'failure' = 'success') =>
  ({ type: 'audit', params: ({ context: c }: Args) => ({ type, accountId: c.accountId, outcome }) }) as const;

export const recoveryMachine = machine.createMachine({
  id: 'recovery',
  context: { contactId: '', accountId: null, passwordVersion: null, dueAt: null },
  initial: 'idle',
  states: {
    idle: {
      meta: { label: 'nothing asked yet' },
      on: {
        RESET_REQUESTED: [
          {
            guard: 'sendSuppressed',
            target: 'unanswered',
            actions: [ask, audit('password.reset_suppressed', 'failure')],
          },
          {
            guard: 'ownerKnown',
            target: 'requested',
            actions: [
              ask,
              supersede,
              {
                type: 'sendMail',
                params: ({ context: c }: Args) => ({ template: 'reset' as const, contactId: c.contactId }),
              },
              {
                type: 'publish',
                params: ({ context: c }: Args) => ({
                  type: 'password.reset_requested',
                  accountId: c.accountId,
                }),
              },
            ],
          },
          { target: 'unanswered', actions: [ask, audit('password.reset_unknown', 'failure')] },
        ],
      },
    },
    requested: {
      meta: { label: 'link sent', budgetMs: 30 * 60_000, milestone: 1 },
      on: {
        PASSWORD_RESET: {
          guard: and(['tokenLives', 'stillOwned']),
          target: 'completed',
          actions: [
            {
              type: 'storeCredentials',
              params: ({ context: c }: Args) => ({ accountId: c.accountId ?? '' }),
            },
            {
              type: 'cancelPendingFlows',
              params: ({ context: c }: Args) => ({ accountId: c.accountId ?? '' }),
            },
            { type: 'endLoginWait', params: ({ context: c }: Args) => ({ accountId: c.accountId ?? '' }) },
            {
              type: 'endSessions',
              params: ({ context: c }: Args) => ({ accountId: c.accountId ?? '', reason: 'password_reset' }),
            },
            {
              type: 'notifyOwner',
              params: ({ context: c }: Args) => ({
                accountId: c.accountId ?? '',
                template: 'password_changed' as const,
              }),
            },
            {
              type: 'publish',
              params: ({ context: c }: Args) => ({
                type: 'password.reset_completed',
                accountId: c.accountId,
              }),
            },
          ],
        },
        EXPIRE: { guard: 'timeUp', target: 'expired', actions: audit('password.reset_expired') },
      },
    },
    unanswered: { type: 'final', meta: { label: 'no mail sent' } },
    completed: { type: 'final', meta: { label: 'password set', milestone: 2 } },
    expired: { type: 'final', tags: ['denied'], meta: { label: 'expired' } },
  },
});

export const recovery = {
  id: 'recovery',
  version: 1,
  context: recoveryContextSchema,
  events: recoveryEvents,
  machine: recoveryMachine,
  upgrades: {},
  needsActiveAccount: 'but to expire',
  usual: (state, now) =>
    state === 'idle'
      ? {}
      : {
          contactId: SAMPLE.contact,
          accountId: SAMPLE.account,
          passwordVersion: 1,
          dueAt: now + 30 * MINUTE,
        },
} satisfies MachineModule;
