/** The form a lifecycle fills in: its context, its events with one sample each, its machine, its older versions. Pure. */
import type { AnyStateMachine } from 'xstate';
import { z } from 'zod';

export type StoredSnapshot = { value: unknown; context: Record<string, unknown>; status: string };
/** Lifts a stored snapshot to the next version. Never edit a released one. */
export type Upgrade = (snapshot: StoredSnapshot) => StoredSnapshot;

/** What an event carries beside its type and its time. */
type Facts = z.ZodObject;

export type EventDeclaration<F extends Facts = Facts> = {
  facts: F;
  /**
   * The event as it usually comes to a flow with this context at `now` (milliseconds): whoever sends it is entitled to
   * and nothing about it is wrong. Stands in for a request when a machine is asked whether it takes the event.
   */
  sample(context: Record<string, unknown>, now: number): z.infer<F>;
  /** Usual contents of facts that are null in the sample. */
  parts?: Record<string, unknown>;
};

/** `C`: the members of the context that the sample looks at. */
export const event = <S extends z.ZodRawShape, C = object>(
  facts: S,
  sample: (context: C, now: number) => NoInfer<z.infer<z.ZodObject<S, z.core.$strict>>>,
  parts?: Record<string, unknown>,
): EventDeclaration<z.ZodObject<S, z.core.$strict>> => ({
  facts: z.strictObject(facts),
  sample: (context, now) => sample(context as C, now),
  ...(parts ? { parts } : {}),
});

/** An event that carries nothing but the time. */
export const bare = event({}, () => ({}));

/** Guard of EXPIRE. A timer that was read before the flow moved its deadline is void. */
export const timeUp = ({
  context,
  event,
}: {
  context: { dueAt: number | null };
  event: { type: string; now: number };
}): boolean => event.type === 'EXPIRE' && context.dueAt !== null && event.now >= context.dueAt;

/** The union that a machine takes: `{ type, now, ...facts }` of each declared event. */
export type EventsOf<D extends Record<string, EventDeclaration>> = {
  [K in keyof D & string]: Flat<{ type: K; now: number } & FactsOf<D[K]>>;
}[keyof D & string];

type Flat<T> = { [P in keyof T]: T[P] };
type FactsOf<E extends EventDeclaration> =
  Record<string, never> extends z.infer<E['facts']> ? object : z.infer<E['facts']>;

/** What is stored beside the flow; `account` is the flow's own, null while it has none. */
export type Known = {
  contactId: string;
  entry: 'phone' | 'email' | 'import';
  account: {
    id: string;
    tier: 'UNVERIFIED' | 'LIMITED' | 'FULL';
    pinSet: boolean;
    profileComplete: boolean;
    /** The newest submitted document and how many there were; null without any. */
    kyc: { id: string; submissions: number } | null;
  } | null;
};

export type Repair =
  /** The flow goes on from here. */
  | { kind: 'resume'; state: string; snapshot: StoredSnapshot }
  /** The flow is over, and what it has reserved is free for the next one. */
  | { kind: 'anew' }
  /** The flow is over; nothing is missing without it. */
  | { kind: 'needless' };

export type MachineModule = {
  id: string;
  /** What new snapshots carry. */
  version: number;
  /** XState does not validate a restored context; this does. */
  context: z.ZodType<{ dueAt: number | null }> & z.ZodObject;
  events: Record<string, EventDeclaration>;
  machine: AnyStateMachine;
  /** `upgrades[n]` lifts version n to n + 1. */
  upgrades: Record<number, Upgrade>;
  /** Where a flow stands whose snapshot is lost; without it such a flow is over. */
  repair?(known: Known): Repair;
  /**
   * A blocked account never advances; only login may look at one, to deny it at L2. What is only offered to it may
   * still run out.
   */
  needsActiveAccount: boolean | 'but to expire';
  /** What a flow remembers that came to this state by the usual way; what is left out is as the machine starts. */
  usual(state: string, now: number): Record<string, unknown>;
};
