/**
 * What a machine would do with an event, and why it would not: one pure run whose outcome goes to whoever asked and
 * nowhere else. It reaches no store; only the engine lets a flow take a step.
 */
import type { AnyMachineSnapshot, AnyStateMachine, EventObject } from 'xstate';
import { guardName } from '../../../machines/graph.ts';
import { takeStep } from '../../../machines/take-step.ts';

export type Condition = { name: string; holds: boolean };
/** A transition the event could take from here, in the order they are asked. */
export type Candidate = {
  edge: string;
  target: string | null;
  /** Null: it asks for nothing. */
  guard: string | null;
  holds: boolean;
  /** The named guards that `guard` is made of, each on its own. */
  conditions: Condition[];
};
export type Asked = { name: string; params: unknown };
export type Preview = { from: string; candidates: Candidate[] } & (
  | { allowed: true; to: string; edges: string[]; effects: Asked[]; before: object; after: object }
  | { allowed: false; reason: string }
);

type StateNode = AnyStateMachine['root'];
type Guarded = { guard?: unknown; target?: readonly unknown[] | undefined };
type Predicate = (args: { context: unknown; event: EventObject }, params: unknown) => boolean;
type Composite = { name: string; guards: unknown[] };

const dotted = (node: StateNode): string => node.path.join('.');

/** Active states, the deepest first: the order in which their transitions are asked. */
const activeNodes = (snapshot: AnyMachineSnapshot): StateNode[] =>
  [...(snapshot._nodes as unknown as StateNode[])].sort((a, b) => b.path.length - a.path.length);

export const stateOf = (snapshot: AnyMachineSnapshot): string => dotted(activeNodes(snapshot)[0]!);

export function preview(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: EventObject): Preview {
  const from = stateOf(snapshot);
  const candidates = activeNodes(snapshot).flatMap((node) =>
    (node.transitions.get(event.type) ?? []).map((t, index) => ({
      edge: `${dotted(node)}|${event.type}|${index}`,
      target: t.target?.[0] ? dotted(t.target[0] as StateNode) : null,
      guard: guardName(t.guard),
      ...judge(machine, snapshot, event, t),
    })),
  );
  if (snapshot.status !== 'active' || !snapshot.can(event as never)) {
    const ended = activeNodes(snapshot)[0]?.type === 'final';
    const reason = ended
      ? `the flow has ended in ${from}`
      : candidates.length === 0
        ? `${from} does not take ${event.type}`
        : `no guard of ${event.type} holds in ${from}`;
    return { from, candidates, allowed: false, reason };
  }
  const { next, effects, edges } = takeStep(machine, snapshot, event);
  return {
    from,
    candidates,
    allowed: true,
    to: stateOf(next),
    edges,
    effects: effects.map(({ type, params }) => ({ name: type, params })),
    before: snapshot.context as object,
    after: next.context as object,
  };
}

/** Guards are pure, so asking each of them apart is as good as the machine's own, shorter way. */
function judge(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: EventObject, t: Guarded) {
  const conditions = new Map<string, boolean>();
  const ask = (guard: unknown): boolean => {
    if (guard === undefined || guard === null) return true;
    const { name, guards } = guard as Composite;
    if (typeof guard === 'function' && guards) {
      const answers = guards.map(ask);
      if (name === 'not') return !answers[0];
      return name === 'or' ? answers.some(Boolean) : answers.every(Boolean);
    }
    const { type, params } =
      typeof guard === 'string'
        ? { type: guard, params: undefined }
        : (guard as { type: string; params: unknown });
    const named = typeof guard === 'function' ? guard : machine.implementations.guards[type];
    const holds = Boolean((named as Predicate | undefined)?.({ context: snapshot.context, event }, params));
    conditions.set(guardName(guard) ?? '', holds);
    return holds;
  };
  const holds = ask(t.guard);
  return { holds, conditions: [...conditions].map(([name, holds]) => ({ name, holds })) };
}
