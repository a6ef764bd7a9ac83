/** Which edges of the graph a pure transition takes, exactly: what the step log, highlighting and coverage rely on. */
import {
  type AnyMachineSnapshot,
  type AnyStateMachine,
  createMachine,
  type EventObject,
  getMicrosteps,
} from 'xstate';

type StateNode = AnyStateMachine['root'];
type Transition = ReturnType<AnyStateMachine['getTransitionData']>[number];

type Config = { always?: unknown; states?: Record<string, Config>; [key: string]: unknown };
const mirrors = new WeakMap<AnyStateMachine, AnyStateMachine>();

/**
 * The machine with its eventless transitions as the only, wildcard ones. XState offers no public way to ask which
 * eventless transition is enabled; asking the mirror for an ordinary one evaluates the same guards on the same event.
 */
function mirrorOf(machine: AnyStateMachine): AnyStateMachine {
  const mirror = ({ id, type, initial, always, states }: Config): Config => ({
    ...(id !== undefined && { id }),
    ...(type !== undefined && { type }),
    ...(initial !== undefined && { initial }),
    ...(always !== undefined && { on: { '*': always } }),
    ...(states && { states: Object.fromEntries(Object.entries(states).map(([k, s]) => [k, mirror(s)])) }),
  });
  const known = mirrors.get(machine);
  if (known) return known;
  const made = createMachine({
    ...mirror(machine.config as Config),
    id: machine.id,
  } as never) as AnyStateMachine;
  mirrors.set(machine, made);
  return made;
}

const keyIn = (t: Transition, event: string, descriptor: string): string => {
  const source = t.source as StateNode;
  return `${source.path.join('.')}|${event}|${source.transitions.get(descriptor)?.indexOf(t as never)}`;
};

/**
 * The edge keys a pure transition takes: the event's own, then each eventless one it runs through; `[]` for a refused
 * event. `microsteps` may be handed over when the caller has them. Events raised by actions are not followed.
 */
export function edgesTaken(
  machine: AnyStateMachine,
  snapshot: AnyMachineSnapshot,
  event: EventObject,
  microsteps: ReadonlyArray<readonly [AnyMachineSnapshot, ...unknown[]]> = getMicrosteps(
    machine,
    snapshot,
    event as never,
  ),
): string[] {
  const first = machine.getTransitionData(snapshot as never, event as never);
  if (!first.some((t) => t.target !== undefined || t.actions.length > 0)) return [];
  const keys = first.map((t) => keyIn(t, t.eventType, t.eventType));
  let current = event;
  for (const [i, [before]] of microsteps.slice(0, -1).entries()) {
    const eventless = mirrorOf(machine).getTransitionData(before as never, current as never);
    if (eventless.length > 0) {
      keys.push(...eventless.map((t) => keyIn(t, '', '*')));
      continue;
    }
    // Nothing eventless was enabled, so this step handled the completion of a compound state, if anything.
    if (microsteps[i + 1]?.[0] === before) continue;
    const completions = [
      ...new Set(before._nodes.flatMap((n: StateNode) => [...n.transitions.keys()])),
    ] as string[];
    const done = completions.filter((type) => type.startsWith('xstate.done.state.'));
    for (const type of done) {
      const taken = machine.getTransitionData(before as never, { type } as never);
      if (taken.length === 0) continue;
      current = { type };
      keys.push(...taken.map((t) => keyIn(t, t.eventType, t.eventType)));
      break;
    }
  }
  return keys;
}
