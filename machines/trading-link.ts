/**
 * A broker account linked to a person's account: what is known of its credentials, and since when. Kite refuses an ended
 * token and a wrong key alike, so the time the token ends tells them apart; a broker that does not answer changes nothing.
 */
import { and, setup } from 'xstate';
import { z } from 'zod';
import { effects } from './effects.ts';
import { moment, word } from './fields.ts';
import { bare, type EventsOf, event, type MachineModule, timeUp } from './module.ts';
import { SAMPLE } from './samples.ts';

const DAY = 24 * 3_600_000;
/** How long an answer of the broker is waited for before it is asked again. */
const RECHECK_MS = 15 * 60_000;

const outcome = z.enum(['valid', 'refused', 'unreachable']);

export const tradingLinkContextSchema = z.strictObject({
  /** The owner. */
  accountId: z.string().nullable(),
  linkId: z.string(),
  broker: z.enum(['kite', 'paper']),
  /** Why it is where it is; null while it works. */
  reason: z.enum(['no_access_token', 'token_expired', 'credentials_rejected']).nullable(),
  /** Counts the credentials: a check of earlier ones says nothing about these. */
  generation: z.int(),
  /** When the access token ends at the latest; null without one. */
  tokenEndsAt: z.int().nullable(),
  verifiedAt: z.int().nullable(),
  lastCheck: z.strictObject({ outcome, at: z.int() }).nullable(),
  dueAt: z.int().nullable(),
});
export type TradingLinkContext = z.infer<typeof tradingLinkContextSchema>;

/** An access token that the broker has just accepted. `recheckAt`: some time after its end, spread over the accounts. */
const provenToken = z.strictObject({ endsAt: moment, recheckAt: moment });
export type ProvenToken = z.infer<typeof provenToken>;
/** Null: there is no token, and so nothing that could be checked. */
const proof = provenToken.nullable();
const sampleProof = (now: number): ProvenToken => ({ endsAt: now + DAY, recheckAt: now + DAY + RECHECK_MS });

export const tradingLinkEvents = {
  LINKED: event(
    { accountId: word, linkId: word, broker: tradingLinkContextSchema.shape.broker, proof },
    (_c, now) => ({
      accountId: SAMPLE.account,
      linkId: SAMPLE.trading,
      broker: 'kite' as const,
      proof: sampleProof(now),
    }),
  ),
  ROTATED: event({ generation: z.int().min(0), proof }, (c: Pick<TradingLinkContext, 'generation'>, now) => ({
    generation: c.generation + 1,
    proof: sampleProof(now),
  })),
  CHECKED: event(
    {
      /** Of the credentials that were checked. */
      generation: z.int().min(0),
      outcome,
      /** With `valid`. */
      proof,
    },
    (c: Pick<TradingLinkContext, 'generation'>, now) => ({
      generation: c.generation,
      outcome: 'valid' as const,
      proof: sampleProof(now),
    }),
  ),
  UNLINKED: bare,
  EXPIRE: bare,
};
export type TradingLinkEvent = EventsOf<typeof tradingLinkEvents>;

/** Effects of this lifecycle alone. */
export type TradingEffects = {
  /** The enclosed broker account with its sealed credentials. */
  storeLink: { accountId: string; linkId: string };
  /** The enclosed, sealed credentials take the place of the earlier ones. */
  replaceCredentials: { accountId: string; linkId: string };
  /** Ciphertexts and the wrapped data key are gone with this commit: nothing opens them again. */
  shredCredentials: { accountId: string; linkId: string };
  /** Each person the account was shared with, or invited to it, loses it; each is audited. */
  endShares: { accountId: string; linkId: string };
  /** Ask the broker; the verdict comes back as CHECKED. */
  requestBrokerCheck: { accountId: string; linkId: string };
};

const machine = setup({
  types: { context: {} as TradingLinkContext, events: {} as TradingLinkEvent },
  actions: effects<TradingEffects>(),
  guards: {
    tokenProven: ({ event }) => 'proof' in event && event.proof !== null,
    /** No other rotation has come between. */
    nextCredentials: ({ context, event }) =>
      event.type === 'ROTATED' && event.generation === context.generation + 1,
    currentCredentials: ({ context, event }) =>
      event.type === 'CHECKED' && event.generation === context.generation,
    accepted: ({ event }) => event.type === 'CHECKED' && event.outcome === 'valid' && event.proof !== null,
    refused: ({ event }) => event.type === 'CHECKED' && event.outcome === 'refused',
    unreachable: ({ event }) => event.type === 'CHECKED' && event.outcome === 'unreachable',
    tokenEnded: ({ context, event }) => context.tokenEndsAt !== null && event.now >= context.tokenEndsAt,
    timeUp,
  },
});

type Args = { context: TradingLinkContext };

const remember = machine.assign(({ event: e }) =>
  e.type === 'LINKED' ? { accountId: e.accountId, linkId: e.linkId, broker: e.broker, generation: 1 } : {},
);
const nextGeneration = machine.assign(({ event: e }) =>
  e.type === 'ROTATED' ? { generation: e.generation } : {},
);
/** The broker has accepted the token. */
const proven = machine.assign(({ event: e }) =>
  'proof' in e && e.proof !== null
    ? {
        reason: null,
        tokenEndsAt: e.proof.endsAt,
        verifiedAt: e.now,
        lastCheck: { outcome: 'valid' as const, at: e.now },
        dueAt: e.proof.recheckAt,
      }
    : {},
);
const unproven = machine.assign({
  reason: 'no_access_token' as const,
  tokenEndsAt: null,
  lastCheck: null,
  dueAt: null,
});
const noted = machine.assign(({ event: e }) =>
  e.type === 'CHECKED' ? { lastCheck: { outcome: e.outcome, at: e.now } } : {},
);
const because = (reason: 'token_expired' | 'credentials_rejected') => machine.assign({ reason, dueAt: null });
const askAgain = machine.assign(({ event: e }) => ({ dueAt: e.now + RECHECK_MS }));
const settled = machine.assign({ reason: null, dueAt: null });

const ofLink = ({ context: c }: Args) => ({ accountId: c.accountId ?? '', linkId: c.linkId });
const store = { type: 'storeLink', params: ofLink } as const;
const replace = { type: 'replaceCredentials', params: ofLink } as const;
const shred = { type: 'shredCredentials', params: ofLink } as const;
const endShares = { type: 'endShares', params: ofLink } as const;
const requestCheck = { type: 'requestBrokerCheck', params: ofLink } as const;
const told =
  (type: string, outcome: 'success' | 'failure' = 'success') =>
  ({ context: c }: Args) => ({
    type: `trading_account.${type}`,
    accountId: c.accountId,
    tradingAccountId: c.linkId,
    outcome,
    reason: c.reason,
  });
const publish = (...event: Parameters<typeof told>) => ({ type: 'publish', params: told(...event) }) as const;
const audit = (...event: Parameters<typeof told>) => ({ type: 'audit', params: told(...event) }) as const;

const linked = [store, publish('linked')] as const;
const rotated = [replace, publish('credentials_updated')] as const;
const rotation = [
  {
    guard: and(['nextCredentials', 'tokenProven']),
    target: 'active',
    actions: [nextGeneration, proven, ...rotated],
  },
  {
    guard: 'nextCredentials',
    target: 'pending_verification',
    actions: [nextGeneration, unproven, ...rotated],
  },
] as const;
const unlinked = {
  target: 'deactivated',
  actions: [settled, shred, endShares, publish('unlinked')],
} as const;
const unanswered = { guard: and(['currentCredentials', 'unreachable']), actions: noted } as const;
/** A check of credentials that do not work: they may again, nothing else changes. */
const recheck = [
  {
    guard: and(['currentCredentials', 'accepted']),
    target: 'active',
    actions: [proven, publish('verified')],
  },
  { guard: and(['currentCredentials', 'refused']), actions: noted },
  unanswered,
] as const;

export const tradingLinkMachine = machine.createMachine({
  id: 'trading_link',
  context: {
    accountId: null,
    linkId: '',
    broker: 'kite',
    reason: null,
    generation: 0,
    tokenEndsAt: null,
    verifiedAt: null,
    lastCheck: null,
    dueAt: null,
  },
  initial: 'idle',
  states: {
    idle: {
      meta: { label: 'not linked' },
      on: {
        LINKED: [
          { guard: 'tokenProven', target: 'active', actions: [remember, proven, ...linked] },
          { target: 'pending_verification', actions: [remember, unproven, ...linked] },
        ],
      },
    },
    pending_verification: {
      meta: { label: 'waits for an access token', budgetMs: DAY, milestone: 1 },
      on: { ROTATED: rotation, UNLINKED: unlinked },
    },
    active: {
      meta: { label: 'credentials work', milestone: 2 },
      on: {
        CHECKED: [
          { guard: and(['currentCredentials', 'accepted']), actions: [proven, audit('verified')] },
          {
            guard: and(['currentCredentials', 'refused', 'tokenEnded']),
            target: 'credentials_expired',
            actions: [noted, because('token_expired'), publish('credentials_expired')],
          },
          {
            guard: and(['currentCredentials', 'refused']),
            target: 'error',
            actions: [noted, because('credentials_rejected'), publish('credentials_rejected', 'failure')],
          },
          unanswered,
        ],
        EXPIRE: { guard: 'timeUp', actions: [askAgain, requestCheck] },
        ROTATED: rotation,
        UNLINKED: unlinked,
      },
    },
    credentials_expired: {
      meta: { label: 'access token has ended', budgetMs: 3 * DAY },
      on: { CHECKED: recheck, ROTATED: rotation, UNLINKED: unlinked },
    },
    error: {
      meta: { label: 'broker refuses the credentials', budgetMs: DAY },
      on: { CHECKED: recheck, ROTATED: rotation, UNLINKED: unlinked },
    },
    deactivated: { type: 'final', meta: { label: 'unlinked' } },
  },
});

export const tradingLink = {
  id: 'trading_link',
  version: 1,
  context: tradingLinkContextSchema,
  events: tradingLinkEvents,
  machine: tradingLinkMachine,
  upgrades: {},
  needsActiveAccount: 'but to expire',
  usual: (state, now) =>
    state === 'idle'
      ? {}
      : {
          accountId: SAMPLE.account,
          linkId: SAMPLE.trading,
          generation: 1,
          ...(state === 'pending_verification'
            ? { reason: 'no_access_token' }
            : { tokenEndsAt: now + DAY, verifiedAt: now, lastCheck: { outcome: 'valid', at: now } }),
          dueAt: state === 'active' ? now + DAY + RECHECK_MS : null,
        },
} satisfies MachineModule;
