/** The step production takes is XState's own: same state, context, effects and edges wherever the exploration comes. */
import { expect, test } from 'vitest';
import { type AnyMachineSnapshot, type AnyStateMachine, createActor, transition } from 'xstate';
import { type MachineId, registry } from '../../machines/index.ts';
import { takeStep } from '../../machines/take-step.ts';
import { sampleMachine } from '../diagrams/sample-machine.ts';
import { explore, lettersOf, nameOf, startOf } from './explore.ts';

type StateNode = AnyStateMachine['root'];
type Event = { type: string };

const shape = ({
  value,
  context,
  status,
  output,
  error,
  tags,
  children,
  historyValue,
}: AnyMachineSnapshot) => ({
  ...{ value, context, status, output, error, children, historyValue },
  tags: [...tags].sort(),
});

const effectsOf = (actions: readonly { type: string; params?: unknown }[]) =>
  actions.map(({ type, params }) => ({ type, params }));

/** The edges a started actor of XState reports; one that changes nothing is none. */
function edgesOfActor(machine: AnyStateMachine, snapshot: AnyMachineSnapshot, event: Event): string[] {
  const edges: string[] = [];
  let changed = false;
  const actor = createActor(machine, {
    snapshot,
    inspect(inspected) {
      if (inspected.type !== '@xstate.microstep') return;
      for (const taken of inspected._transitions) {
        const source = taken.source as StateNode;
        const declared: readonly unknown[] =
          taken.eventType === '' ? (source.always ?? []) : (source.transitions.get(taken.eventType) ?? []);
        edges.push(`${source.path.join('.')}|${taken.eventType}|${declared.indexOf(taken)}`);
        if (taken.target !== undefined || taken.actions.length > 0) changed = true;
      }
    },
  });
  actor.start();
  edges.length = 0;
  changed = false;
  actor.send(event as never);
  actor.stop();
  return changed ? edges : [];
}

function expectSame(machine: AnyStateMachine, before: AnyMachineSnapshot, event: Event): void {
  const step = takeStep(machine, before, event);
  const [after, actions] = transition(machine, before, event as never);
  expect(shape(step.next), event.type).toEqual(shape(after as AnyMachineSnapshot));
  expect(effectsOf(step.effects), event.type).toEqual(effectsOf(actions));
  expect(step.edges, event.type).toEqual(edgesOfActor(machine, before, event));
}

test.each(Object.keys(registry) as MachineId[])('%s: every accepted step is the one XState takes', (id) => {
  const { machine } = registry[id];
  let compared = 0;
  const { steps } = explore(id, {
    visit: ({ before, letter }) => {
      compared += 1;
      expectSame(machine, before, letter.event);
    },
  });
  expect(compared).toBe(steps);
  expect(compared).toBeGreaterThan(0);
});

test.each(Object.keys(registry) as MachineId[])(
  '%s: a refused event leaves the snapshot itself, without effects or edges',
  (id) => {
    const { machine } = registry[id];
    let refused = 0;
    const wrong: string[] = [];
    for (const snapshot of explore(id).situations) {
      for (const letter of lettersOf(id, snapshot)) {
        if (snapshot.can(letter.event as never)) continue;
        refused += 1;
        const { next, effects, edges } = takeStep(machine, snapshot, letter.event);
        const [after, actions] = transition(machine, snapshot, letter.event as never);
        const unmoved = after.value === snapshot.value && after.context === snapshot.context;
        if (next !== snapshot || effects.length + edges.length + actions.length > 0 || !unmoved)
          wrong.push(nameOf(letter));
      }
    }
    expect(wrong).toEqual([]);
    expect(refused).toBeGreaterThan(0);
  },
);

test('nested states and transitions without a target are taken as XState takes them', () => {
  const machine = sampleMachine as AnyStateMachine;
  const events = [
    { type: 'OPEN', risk: 90 },
    { type: 'NOTE' },
    { type: 'ANSWER', right: false },
    { type: 'ANSWER', right: true },
    { type: 'UPGRADE' },
    { type: 'BLOCK' },
  ];
  let snapshot = startOf(machine);
  for (const event of events) {
    expectSame(machine, snapshot, event);
    snapshot = takeStep(machine, snapshot, event).next;
  }
});
