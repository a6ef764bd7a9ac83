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

type Taker = { scope: AnyActorScope; effects: Effect[]; transitions: Transition[] };
const takers = new WeakMap<AnyStateMachine, Taker>();

/** An actor that never starts, made once: XState's own `getMicrosteps` makes one per step, half of what a step cost. */
function takerOf(machine: AnyStateMachine): Taker {
  const known = takers.get(machine);
  if (known) return known;
  const actor = createActor(machine);
  const nothing = () => {};
  const taker: Taker = { effects: [], transitions: [], scope: undefined as unknown as AnyActorScope };
  taker.scope = {
    self: actor,
    system: actor.system,
    id: '',
    sessionId: '',
    logger: nothing,
    defer: nothing,
    emit: nothing,
    stopChild: nothing,
    actionExecutor: (action: Effect) => {
      taker.effects.push(action);
    },
  } as unknown as AnyActorScope;
  actor.system.inspect((inspected) => {
    if (inspected.type === '@xstate.microstep') taker.transitions.push(...inspected._transitions);
  });
  takers.set(machine, taker);
  return taker;
}

const keyOf = (t: Transition): string => {
  const source = t.source as StateNode;
  const among = t.eventType === '' ? source.always : source.transitions.get(t.eventType);
  return `${source.path.join('.')}|${t.eventType}|${among?.indexOf(t as never)}`;
};

const changesNothing = (t: Transition): boolean => t.target === undefined && t.actions.length === 0;

export function takeStep(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: EventObject): Step {
  const taker = takerOf(machine);
  taker.effects = [];
  taker.transitions = [];
  const next = machine.microstep(snapshot as never, event as never, taker.scope).at(-1) ?? snapshot;
  const { effects, transitions } = taker;
  return { next, effects, edges: transitions.every(changesNothing) ? [] : transitions.map(keyOf) };
}

export const edgesTaken = (...step: Parameters<typeof takeStep>): string[] => takeStep(...step).edges;
