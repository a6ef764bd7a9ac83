/**
 * A person's factor from its setup to its end: what nobody has confirmed counts for nothing, and what has ended never
 * counts again. The flow's id is the factor's.
 */
import { and, setup } from 'xstate';
import { z } from 'zod';
import { effects } from './effects.ts';
import { count, duration, word } from './fields.ts';
import { bare, type EventsOf, event, type MachineModule, timeUp } from './module.ts';
import { SAMPLE } from './samples.ts';

const MINUTE = 60_000;

export const factorContextSchema = z.strictObject({
  accountId: z.string().nullable(),
  factorId: z.string(),
  kind: z.string(),
  attemptsLeft: z.int().min(0),
  dueAt: z.int().nullable(),
});
export type FactorContext = z.infer<typeof factorContextSchema>;

export const factorEvents = {
  SETUP_STARTED: event(
    { accountId: word, factorId: word, kind: word, attempts: count, ttlMs: duration },
    () => ({
      accountId: SAMPLE.account,
      factorId: SAMPLE.factor,
      kind: 'totp',
      attempts: 3,
      ttlMs: 10 * MINUTE,
    }),
  ),
  CONFIRMED: event(
    {
      /** The first answer to it was right. */
      ok: z.boolean(),
      sessionId: word,
      /** Whether the account gets new backup codes with it. */
      codesDue: z.boolean(),
    },
    () => ({ ok: true, sessionId: SAMPLE.session, codesDue: true }),
  ),
  DISABLED: event(
    {
      /** The owner has just proven to be the owner. */
      authorized: z.boolean(),
      /** Whether the account keeps another second factor. */
      othersLeft: z.boolean(),
      sessionId: word.nullable(),
    },
    () => ({ authorized: true, othersLeft: false, sessionId: SAMPLE.session }),
  ),
  /** Another one took its place: by a change of app, or by the recovery of a lost one. */
  REPLACED: event({ authorized: z.boolean() }, () => ({ authorized: true })),
  /** Too many wrong answers in a row. */
  LOCKED: bare,
  EXPIRE: bare,
};
export type FactorEvent = EventsOf<typeof factorEvents>;

const machine = setup({
  types: { context: {} as FactorContext, events: {} as FactorEvent },
  actions: effects(),
  guards: {
    answerRight: ({ context: c, event }) =>
      event.type === 'CONFIRMED' && event.ok && event.now < (c.dueAt ?? 0) && c.attemptsLeft > 0,
    codesDue: ({ event }) => event.type === 'CONFIRMED' && event.codesDue,
    lastAnswer: ({ context, event }) =>
      context.attemptsLeft <= 1 || (event.type === 'CONFIRMED' && event.now >= (context.dueAt ?? 0)),
    authorized: ({ event }) => (event.type === 'DISABLED' || event.type === 'REPLACED') && event.authorized,
    othersLeft: ({ event }) => event.type === 'DISABLED' && event.othersLeft,
    timeUp,
  },
});

type Args = { context: FactorContext; event: FactorEvent };
const ofAccount = ({ context: c }: Args) => ({ accountId: c.accountId ?? '' });
const ofFactor = (args: Args) => ({ ...ofAccount(args), factorId: args.context.factorId });

const remember = machine.assign(({ event: e }) =>
  e.type === 'SETUP_STARTED'
    ? {
        accountId: e.accountId,
        factorId: e.factorId,
        kind: e.kind,
        attemptsLeft: e.attempts,
        dueAt: e.now + e.ttlMs,
      }
    : {},
);
const keep = machine.assign({ dueAt: null });
const publish = (type: string) =>
  ({ type: 'publish', params: (a: Args) => ({ type, ...ofAccount(a) }) }) as const;
const tell = (template: 'factor_added' | 'factor_removed') =>
  ({ type: 'notifyOwner', params: (a: Args) => ({ ...ofAccount(a), template }) }) as const;
/** The session that asks for it has just shown what it can. */
const downgrade = {
  type: 'downgradeSessions',
  params: (a: Args) => ({
    ...ofAccount(a),
    except: 'sessionId' in a.event ? a.event.sessionId : null,
  }),
} as const;
const drop = { type: 'dropFactor', params: ofFactor } as const;
const end = (state: 'disabled' | 'replaced') =>
  ({ type: 'endFactor', params: (a: Args) => ({ ...ofFactor(a), state }) }) as const;
const confirm = [
  keep,
  { type: 'confirmFactor', params: ofFactor } as const,
  downgrade,
  tell('factor_added'),
  publish('mfa.enabled'),
] as const;
const giveCodes = { type: 'storeBackupCodes', params: ofAccount } as const;
const dropCodes = { type: 'dropBackupCodes', params: ofAccount } as const;
const remove = [end('disabled'), downgrade, tell('factor_removed'), publish('mfa.disabled')] as const;
/** Whoever takes its place tells the owner. */
const replace = [end('replaced'), publish('mfa.replaced')] as const;

export const factorMachine = machine.createMachine({
  id: 'factor',
  context: { accountId: null, factorId: '', kind: '', attemptsLeft: 0, dueAt: null },
  initial: 'idle',
  states: {
    idle: {
      meta: { label: 'not set up' },
      on: {
        SETUP_STARTED: {
          target: 'setup',
          actions: [
            remember,
            {
              type: 'pendFactor',
              params: (a: Args) => ({ ...ofFactor(a), kind: a.context.kind }),
            },
            publish('mfa.setup_started'),
          ],
        },
      },
    },
    setup: {
      meta: { label: 'waits for its first answer', budgetMs: 600_000, milestone: 1 },
      on: {
        CONFIRMED: [
          {
            guard: and(['answerRight', 'codesDue']),
            target: 'confirmed',
            actions: [...confirm, giveCodes],
          },
          { guard: 'answerRight', target: 'confirmed', actions: confirm },
          { guard: 'lastAnswer', target: 'abandoned', actions: drop },
          {
            target: 'setup',
            actions: machine.assign(({ context: c }) => ({ attemptsLeft: c.attemptsLeft - 1 })),
          },
        ],
        EXPIRE: { guard: 'timeUp', target: 'abandoned', actions: drop },
      },
    },
    confirmed: {
      meta: { label: 'in use', milestone: 2 },
      on: {
        DISABLED: [
          { guard: and(['authorized', 'othersLeft']), target: 'disabled', actions: remove },
          { guard: 'authorized', target: 'disabled', actions: [...remove, dropCodes] },
        ],
        REPLACED: { guard: 'authorized', target: 'replaced', actions: replace },
        LOCKED: {
          target: 'locked',
          actions: [
            { type: 'lockFactor', params: ofFactor },
            {
              type: 'publish',
              params: (a: Args) => ({ type: 'mfa.locked', ...ofAccount(a), outcome: 'failure' as const }),
            },
          ],
        },
      },
    },
    locked: {
      meta: { label: 'locked until it is replaced' },
      on: {
        DISABLED: [
          { guard: and(['authorized', 'othersLeft']), target: 'disabled', actions: remove },
          { guard: 'authorized', target: 'disabled', actions: [...remove, dropCodes] },
        ],
        REPLACED: { guard: 'authorized', target: 'replaced', actions: replace },
      },
    },
    disabled: { type: 'final', meta: { label: 'disabled', milestone: 3 } },
    replaced: { type: 'final', meta: { label: 'replaced', milestone: 3 } },
    abandoned: { type: 'final', tags: ['denied'], meta: { label: 'never confirmed' } },
  },
});

export const factor = {
  id: 'factor',
  version: 1,
  context: factorContextSchema,
  events: factorEvents,
  machine: factorMachine,
  upgrades: {},
  needsActiveAccount: 'but to expire',
  usual: (state, now) =>
    state === 'idle'
      ? {}
      : {
          accountId: SAMPLE.account,
          factorId: SAMPLE.factor,
          kind: 'totp',
          attemptsLeft: 3,
          dueAt: state === 'setup' ? now + 10 * MINUTE : null,
        },
} satisfies MachineModule;
