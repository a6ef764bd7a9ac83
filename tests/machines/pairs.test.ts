/** Every (state × event) pair: what is accepted stands in vocabulary.json, so that a change shows; all else is refused. */
import { describe, expect, test } from 'vitest';
import type { AnyMachineSnapshot } from 'xstate';
import { toGraph } from '../../machines/graph.ts';
import { type MachineId, registry } from '../../machines/index.ts';
import { explore, lettersOf, nameOf, startOf, stateOf } from './explore.ts';
import { read, type Vocabulary, vocabularyFile } from './make-fixtures.ts';

/** By machine: resting state → the events it accepts. Written by `npm run fixtures`, read in review. */
const vocabulary = read(vocabularyFile) as Record<string, Vocabulary>;
const accepted = (id: MachineId): Record<string, string[]> => vocabulary[id]?.accepts ?? {};

/** Bad facts an accepted event may carry, because counting them is the point; every other bad fact is refused. */
const COUNTED = new Set(['CODE_CHECKED', 'STEP_UP_ANSWERED', 'CONFIRMED']);

describe.each(Object.keys(registry) as MachineId[])('%s', (id) => {
  const situations = new Map<string, AnyMachineSnapshot[]>();
  for (const snapshot of explore(id).situations) {
    const state = stateOf(snapshot);
    situations.set(state, [...(situations.get(state) ?? []), snapshot]);
  }
  const events = (id: MachineId) =>
    new Set(lettersOf(id, startOf(registry[id].machine)).map((l) => l.event.type));

  test('rests in these states and no others, each of them reachable', () => {
    expect([...situations.keys()].sort()).toEqual(Object.keys(accepted(id)).sort());
  });

  test('has a letter for every event it declares', () => {
    const declared = new Set(
      toGraph(registry[id].machine)
        .edges.map((e) => e.event)
        .filter(Boolean),
    );
    expect([...events(id)].sort()).toEqual([...declared].sort());
  });

  test.each(Object.entries(accepted(id)))('%s accepts exactly: %s', (state, list) => {
    const found = new Set<string>();
    for (const snapshot of situations.get(state) ?? []) {
      for (const { event } of lettersOf(id, snapshot)) {
        if (snapshot.can(event as never)) found.add(event.type);
      }
    }
    expect([...found].sort()).toEqual(list);
  });

  test('refuses every event with wrong facts, unless counting them is the point', () => {
    for (const [state, snapshots] of situations) {
      for (const snapshot of snapshots) {
        for (const letter of lettersOf(id, snapshot)) {
          if (letter.good || COUNTED.has(letter.event.type)) continue;
          expect(snapshot.can(letter.event as never), `${state}: ${nameOf(letter)}`).toBe(false);
        }
      }
    }
  });
});
