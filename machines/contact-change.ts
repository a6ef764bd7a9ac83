/**
 * A contact that came to an account or left it: the owner gets a notice, and a reader of an address the account had
 * before may undo the change once, while the link lives.
 */
import { and, setup } from 'xstate';
import { z } from 'zod';
import { effects } from './effects.ts';
import { count, duration, word } from './fields.ts';
import { bare, type EventsOf, event, type MachineModule, timeUp } from './module.ts';
import { SAMPLE } from './samples.ts';

const DAY = 24 * 60 * 60_000;

export const contactChangeContextSchema = z.strictObject({
  /** The one that came or left. */
  contactId: z.string(),
  accountId: z.string().nullable(),
  purpose: z.enum(['added', 'removed']),
  /** What was to be used before an addition; null when there was nothing to go back to. */
  previousId: z.string().nullable(),
  dueAt: z.int().nullable(),
});
export type ContactChangeContext = z.infer<typeof contactChangeContextSchema>;

const changed = {
  contactId: word,
  accountId: word,
  /** Addresses of the account from before that get the link. */
  readers: z.array(word).max(10),
  ttlMs: duration,
};
const SAMPLE_CHANGE = {
  contactId: SAMPLE.contact,
  accountId: SAMPLE.account,
  readers: [SAMPLE.previous as string],
  ttlMs: 3 * DAY,
};

export const contactChangeEvents = {
  CONTACT_ADDED: event({ previousId: word.nullable(), ...changed }, () => ({
    previousId: SAMPLE.previous,
    ...SAMPLE_CHANGE,
  })),
  CONTACT_REMOVED: event(changed, () => SAMPLE_CHANGE),
  CHANGE_UNDONE: event(
    {
      /** Whose the contact is by now. */
      ownerId: word.nullable(),
      /** Whether the one from before is still the account's, or nobody's. */
      previousFree: z.boolean(),
      /** Proven contacts of the account beside the one that came. */
      othersLeft: count,
    },
    (c: Pick<ContactChangeContext, 'purpose' | 'accountId'>) => ({
      ownerId: c.purpose === 'removed' ? null : (c.accountId ?? SAMPLE.account),
      previousFree: true,
      othersLeft: 1,
    }),
  ),
  EXPIRE: bare,
};
export type ContactChangeEvent = EventsOf<typeof contactChangeEvents>;

/** Effects of this machine alone. Ids, verdicts, counters and times only: parameters may be logged and stored. */
export type ContactChangeEffects = {
  /** Takes a contact from its account, which has another proven one or gets `successor` in the same commit. */
  releaseContact: { accountId: string; contactId: string; successor: string | null };
  /** Gives the account a contact it had, as its first choice; fails the commit when somebody else owns it by now. */
  restoreContact: { accountId: string; contactId: string; instead?: string };
  /** Password resets and logins under way that the contact has begun are over. */
  endProofs: { accountId: string; contactId: string };
};

const machine = setup({
  types: { context: {} as ContactChangeContext, events: {} as ContactChangeEvent },
  actions: effects<ContactChangeEffects>(),
  guards: {
    linkRead: ({ event }) =>
      (event.type === 'CONTACT_ADDED' || event.type === 'CONTACT_REMOVED') && event.readers.length > 0,
    linkLives: ({ context, event }) => event.type === 'CHANGE_UNDONE' && event.now < (context.dueAt ?? 0),
    stillAdded: ({ context: c, event }) =>
      event.type === 'CHANGE_UNDONE' &&
      c.purpose === 'added' &&
      c.accountId !== null &&
      event.ownerId === c.accountId,
    /** What somebody else has proven by now stays theirs. */
    stillGone: ({ context, event }) =>
      event.type === 'CHANGE_UNDONE' && context.purpose === 'removed' && event.ownerId === null,
    previousFree: ({ context, event }) =>
      event.type === 'CHANGE_UNDONE' && context.previousId !== null && event.previousFree,
    /** No account is left without a contact. */
    othersLeft: ({ event }) => event.type === 'CHANGE_UNDONE' && event.othersLeft > 0,
    timeUp,
  },
});

type Args = { context: ContactChangeContext; event: ContactChangeEvent };

const remember = machine.assign(({ event: e }) =>
  e.type === 'CONTACT_ADDED' || e.type === 'CONTACT_REMOVED'
    ? {
        contactId: e.contactId,
        accountId: e.accountId,
        purpose: e.type === 'CONTACT_ADDED' ? ('added' as const) : ('removed' as const),
        previousId: e.type === 'CONTACT_ADDED' ? e.previousId : null,
        dueAt: e.now + e.ttlMs,
      }
    : {},
);
const ofAccount = ({ context: c }: Args) => ({ accountId: c.accountId ?? '' });
const ofContact = (args: Args) => ({ ...ofAccount(args), contactId: args.context.contactId });
const tell = {
  type: 'notifyOwner',
  params: (args: Args) => ({
    ...ofAccount(args),
    template: 'contact_changed' as const,
    linkTo: 'readers' in args.event ? args.event.readers : [],
  }),
} as const;
const offer = {
  type: 'extendToken',
  params: ({ event: e }: Args) => ({ ttlMs: 'ttlMs' in e ? e.ttlMs : 0 }),
} as const;
const remove = {
  type: 'releaseContact',
  params: (args: Args) => ({ ...ofContact(args), successor: null }),
} as const;
const replace = {
  type: 'releaseContact',
  params: (args: Args) => ({ ...ofContact(args), successor: args.context.previousId }),
} as const;
const bringBack = { type: 'restoreContact', params: ofContact } as const;
const goBack = {
  type: 'restoreContact',
  params: (args: Args) => ({
    ...ofAccount(args),
    contactId: args.context.previousId ?? '',
    instead: args.context.contactId,
  }),
} as const;
const publish = (type: string) =>
  ({ type: 'publish', params: ({ context: c }: Args) => ({ type, accountId: c.accountId }) }) as const;
const removed = publish('contact.removed');
/** Whoever changed it may still be signed in, or on the way in. */
const shut = [
  { type: 'endProofs', params: ofContact } as const,
  {
    type: 'endSessions',
    params: (args: Args) => ({ ...ofAccount(args), reason: 'contact_change_undone' }),
  } as const,
  {
    type: 'notifyOwner',
    params: (args: Args) => ({ ...ofAccount(args), template: 'contact_change_undone' as const }),
  } as const,
  publish('contact.change_undone'),
] as const;

export const contactChangeMachine = machine.createMachine({
  id: 'contact_change',
  context: { contactId: '', accountId: null, purpose: 'added', previousId: null, dueAt: null },
  initial: 'idle',
  states: {
    idle: {
      meta: { label: 'nothing changed yet' },
      on: {
        CONTACT_ADDED: [
          { guard: 'linkRead', target: 'undoable', actions: [remember, offer, tell] },
          { target: 'settled', actions: [remember, tell] },
        ],
        CONTACT_REMOVED: [
          { guard: 'linkRead', target: 'undoable', actions: [remember, remove, offer, tell, removed] },
          { target: 'settled', actions: [remember, remove, tell, removed] },
        ],
      },
    },
    undoable: {
      meta: { label: 'may be undone by link', budgetMs: 72 * 3_600_000, milestone: 1 },
      on: {
        CHANGE_UNDONE: [
          {
            guard: and(['linkLives', 'stillAdded', 'previousFree']),
            target: 'undone',
            actions: [replace, goBack, ...shut],
          },
          {
            guard: and(['linkLives', 'stillAdded', 'othersLeft']),
            target: 'undone',
            actions: [remove, ...shut],
          },
          { guard: and(['linkLives', 'stillGone']), target: 'undone', actions: [bringBack, ...shut] },
        ],
        EXPIRE: { guard: 'timeUp', target: 'expired' },
      },
    },
    settled: { type: 'final', meta: { label: 'owner notified, no link sent' } },
    undone: { type: 'final', meta: { label: 'undone', milestone: 2 } },
    expired: { type: 'final', meta: { label: 'undo link expired' } },
  },
});

export const contactChange = {
  id: 'contact_change',
  version: 1,
  context: contactChangeContextSchema,
  events: contactChangeEvents,
  machine: contactChangeMachine,
  upgrades: {},
  needsActiveAccount: 'but to expire',
  usual: (state, now) =>
    state === 'idle'
      ? {}
      : {
          contactId: SAMPLE.contact,
          accountId: SAMPLE.account,
          previousId: SAMPLE.previous,
          dueAt: now + 3 * DAY,
        },
} satisfies MachineModule;
