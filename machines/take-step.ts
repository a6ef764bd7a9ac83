/** One step of a machine, taken purely: where it ends, what it asks for, and exactly which edges of the graph it took. */
import {
  type AnyActorScope,
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createActor,
  type EventObject,
  type InspectedMicrostepEvent,
} from 'xstate';

type StateNode = AnyStateMachine['root'];
type Transition = InspectedMicrostepEvent['_transitions'][number];

export type Effect = { type: string; params?: unknown };
export type Step = {
  /** The snapshot itself when the event is refused. */
  next: AnyMachineSnapshot;
  /** Every action asked for, in order; nothing has run. */
  effects: Effect[];
  /** The event's own edge, then each eventless one it ran through; `[]` for a refused event. */
  edges: string[];
};

/** `taken` is what the scope has seen since it was last emptied. */
type Taker = { scope: AnyActorScope; taken: { effects: Effect[]; transitions: Transition[] } };
const takers = new WeakMap<AnyStateMachine, Taker>();

/** An actor that never starts, made once: XState's own `getMicrosteps` makes one per step, half of what a step cost. */
function takerOf(machine: AnyStateMachine): Taker {
  const known = takers.get(machine);
  if (known) return known;
  const actor = createActor(machine);
  const nothing = () => {};
  const taken: Taker['taken'] = { effects: [], transitions: [] };
  const scope = {
    self: actor,
    system: actor.system,
    id: '',
    sessionId: '',
    logger: nothing,
    defer: nothing,
    emit: nothing,
    stopChild: nothing,
    actionExecutor: (action: Effect) => {
      taken.effects.push(action);
    },
  } as unknown as AnyActorScope;
  actor.system.inspect((inspected) => {
    if (inspected.type === '@xstate.microstep') taken.transitions.push(...inspected._transitions);
  });
  const taker = { scope, taken };
  takers.set(machine, taker);
  return taker;
}

const keyOf = (t: Transition): string => {
  const source = t.source as StateNode;
  const among = t.eventType === '' ? source.always : source.transitions.get(t.eventType);
  return `${source.path.join('.')}|${t.eventType}|${among?.indexOf(t as never)}`;
};

const changesNothing = (t: Transition): boolean => t.target === undefined && t.actions.length === 0;

/** Runs the machine once: guards are asked once, no action is executed. A refused event leaves the snapshot as it is. */
export function takeStep(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: EventObject): Step {
  const { scope, taken } = takerOf(machine);
  Object.assign(taken, { effects: [], transitions: [] });
  const next = machine.microstep(snapshot as never, event as never, scope).at(-1) ?? snapshot;
  const { effects, transitions } = taken;
  return { next, effects, edges: transitions.every(changesNothing) ? [] : transitions.map(keyOf) };
}
