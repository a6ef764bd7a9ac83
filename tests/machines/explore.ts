/** Walks a machine over its whole alphabet, breadth first, with a monitor that remembers what was really proven. */
import { type AnyMachineSnapshot, type AnyStateMachine, initialTransition } from 'xstate';
import { type MachineId, registry } from '../../machines/index.ts';
import { takeStep } from '../../machines/take-step.ts';
import { alphabets, futureOf, type Letter, T0 } from './alphabets.ts';

export type Effect = { type: string; params: Record<string, unknown> };
export type Step = {
  before: AnyMachineSnapshot;
  letter: Letter;
  after: AnyMachineSnapshot;
  effects: Effect[];
};

/** Remembers across steps (`ghost`) what the machine itself must not be asked about, and names what must not happen. */
export type Monitor<G> = {
  start: G;
  watch(step: Step, ghost: G): { ghost: G; broken: string[] };
};
export type Violation = { rule: string; path: string[] };

export const stateOf = (snapshot: AnyMachineSnapshot): string => {
  const path = (value: unknown): string[] =>
    typeof value === 'string'
      ? [value]
      : Object.entries(value as object).flatMap(([key, inner]) => [key, ...path(inner)]);
  return path(snapshot.value).join('.');
};

/** Everything a machine can be sent here. An event that no alphabet varies comes as its module's own sample. */
export function lettersOf(id: MachineId, snapshot: AnyMachineSnapshot): Letter[] {
  const letters = alphabets[id](snapshot.context as never) as Letter[];
  const varied = new Set(letters.map(({ event }) => event.type));
  const samples = Object.entries(registry[id].events).flatMap(([type, { sample }]) =>
    varied.has(type)
      ? []
      : [{ event: { ...sample(snapshot.context as never, T0), type, now: T0 }, fact: '', good: true }],
  );
  return [...letters, ...samples];
}

export const nameOf = ({ event, fact }: Letter): string => (fact ? `${event.type} (${fact})` : event.type);

/** What production takes, so that whatever is proven here is proven of it. */
export function take(machine: AnyStateMachine, before: AnyMachineSnapshot, letter: Letter): Step {
  const { next, effects } = takeStep(machine, before, letter.event);
  const params = (effect: { params?: unknown }) => (effect.params ?? {}) as Record<string, unknown>;
  return {
    before,
    letter,
    after: next,
    effects: effects.map((effect) => ({ type: effect.type, params: params(effect) })),
  };
}

export const edgesTaken = (...step: Parameters<typeof takeStep>): string[] => takeStep(...step).edges;

/** Where a series of events ends. */
export const after = (
  machine: AnyStateMachine,
  events: { type: string }[],
  from: AnyMachineSnapshot = startOf(machine),
): AnyMachineSnapshot => events.reduce((snapshot, event) => takeStep(machine, snapshot, event).next, from);

export const startOf = (machine: AnyStateMachine): AnyMachineSnapshot =>
  initialTransition(machine)[0] as AnyMachineSnapshot;

const LIMIT = 50_000;

/** Every accepted step from every reachable situation, each once. Stops at the first violation when asked to. */
export function explore<G>(
  id: MachineId,
  {
    machine = registry[id].machine,
    monitor,
    stopAtFirst = false,
    visit,
    letters = [],
  }: {
    machine?: AnyStateMachine;
    monitor?: Monitor<G>;
    stopAtFirst?: boolean;
    visit?: (step: Step) => void;
    /** Besides those of the alphabet. */
    letters?: readonly Letter[];
  } = {},
) {
  type Node = { snapshot: AnyMachineSnapshot; ghost: G; path: string[] };
  const violations: Violation[] = [];
  const situations: AnyMachineSnapshot[] = [];
  const seen = new Set<string>();
  const queue: Node[] = [{ snapshot: startOf(machine), ghost: monitor?.start as G, path: [] }];
  let steps = 0;
  const add = (node: Node): void => {
    const key = futureOf(node.snapshot.value, [node.snapshot.context, node.ghost]);
    if (seen.has(key)) return;
    if (seen.size >= LIMIT) throw new Error(`${id} has more situations than can be walked`);
    seen.add(key);
    situations.push(node.snapshot);
    queue.push(node);
  };
  add(queue.pop() as Node);
  for (let node = queue.shift(); node !== undefined; node = queue.shift()) {
    for (const letter of [...lettersOf(id, node.snapshot), ...letters]) {
      if (!node.snapshot.can(letter.event as never)) continue;
      steps += 1;
      const path = [...node.path, nameOf(letter)];
      let step: Step;
      try {
        step = take(machine, node.snapshot, letter);
      } catch (error) {
        violations.push({ rule: `throws: ${(error as Error).message}`, path });
        if (stopAtFirst) return { violations, situations, steps };
        continue;
      }
      visit?.(step);
      const { ghost, broken } = monitor?.watch(step, node.ghost) ?? { ghost: node.ghost, broken: [] };
      for (const rule of broken) violations.push({ rule, path: [...path, `→ ${stateOf(step.after)}`] });
      if (broken.length > 0 && stopAtFirst) return { violations, situations, steps };
      // What follows a violation says nothing new.
      if (broken.length === 0) add({ snapshot: step.after, ghost, path });
    }
  }
  return { violations, situations, steps };
}
