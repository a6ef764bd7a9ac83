/** A promise of a single step, walked over every event from every situation: it holds, and it breaks without its guard. */
import type { MachineId } from '../../machines/index.ts';
import { registry } from '../../machines/index.ts';
import type { Letter } from './alphabets.ts';
import { explore, type Step } from './explore.ts';

type Promised = {
  /** What the guard answers when it is taken away: true for one that lets pass. */
  weakened: boolean;
  /** Events with wrong facts, besides those of the alphabet. */
  letters?: readonly Letter[];
  /** Whether the step breaks the promise. */
  broken(step: Step): boolean;
};

/** How often the promise breaks with the guard, and how often without it. */
export function breaksWithout(id: MachineId, guard: string, { weakened, letters = [], broken }: Promised) {
  const { machine } = registry[id];
  const count = (of: typeof machine): number =>
    explore(id, {
      machine: of,
      letters,
      monitor: { start: null, watch: (step) => ({ ghost: null, broken: broken(step) ? ['broken'] : [] }) },
    }).violations.length;
  return {
    with: count(machine),
    without: count(machine.provide({ guards: { [guard]: () => weakened } } as never)),
  };
}
