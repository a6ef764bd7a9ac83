/**
 * Writes what is missing of the stored snapshots and context shapes: `npm run fixtures`. What is there already is what a
 * release wrote and is never written again: a context that changes needs a new version and an upgrade. The vocabulary
 * of the machines is written anew each time.
 */
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { z } from 'zod';
import { type MachineId, registry } from '../../machines/index.ts';
import { explore, stateOf } from './explore.ts';

/** One situation per resting state: the one whose context says most. */
export function fixturesOf(id: MachineId): Record<string, object> {
  const richest = new Map<string, object>();
  for (const { value, context, status, ...snapshot } of explore(id).situations) {
    const state = stateOf({ value, context, status, ...snapshot } as never);
    const stored = { value, context, status };
    const known = richest.get(state);
    if (!known || JSON.stringify(stored).length > JSON.stringify(known).length) richest.set(state, stored);
  }
  return sorted(Object.fromEntries(richest));
}

/** The JSON Schema of a context: it tells one shape from another, optional members included. */
export const shapeOf = (id: MachineId): object => z.toJSONSchema(registry[id].context);

const pathsIn = (value: unknown, prefix = ''): string[] =>
  value === null || typeof value !== 'object' || Array.isArray(value)
    ? []
    : Object.entries(value).flatMap(([k, v]) => [prefix + k, ...pathsIn(v, `${prefix}${k}.`)]);

export type Vocabulary = {
  /** Resting state → the events it accepts with some facts. */
  accepts: Record<string, string[]>;
  /** Every member a context has, at any depth. */
  context: string[];
  /** Effect → its parameters. */
  effects: Record<string, string[]>;
};

/** All that a machine can be, remember and ask for, found by walking it. A change of it shows in review. */
export function vocabularyOf(id: MachineId): Vocabulary {
  const [context, accepts, effects] = [
    new Set<string>(),
    new Map<string, Set<string>>(),
    new Map<string, Set<string>>(),
  ];
  const under = (map: Map<string, Set<string>>, key: string): Set<string> => {
    const known = map.get(key) ?? new Set();
    map.set(key, known);
    return known;
  };
  const { situations } = explore(id, {
    visit: (step) => {
      under(accepts, stateOf(step.before)).add(step.letter.event.type);
      for (const { type, params } of step.effects)
        if (!type.startsWith('xstate.'))
          for (const name of Object.keys(params)) under(effects, type).add(name);
    },
  });
  for (const snapshot of situations) {
    under(accepts, stateOf(snapshot));
    for (const path of pathsIn(snapshot.context)) context.add(path);
  }
  const listed = (map: Map<string, Set<string>>) =>
    sorted(Object.fromEntries([...map].map(([key, names]) => [key, [...names].sort()])));
  return { accepts: listed(accepts), context: [...context].sort(), effects: listed(effects) };
}

export const vocabularyFile = new URL('vocabulary.json', import.meta.url).pathname;

const folder = new URL('fixtures/', import.meta.url);
export const fixtureFile = (id: string, version: number): string =>
  new URL(`${id}.v${version}.json`, folder).pathname;
export const shapeFile = (id: string, version: number): string =>
  new URL(`${id}.v${version}.shape.json`, folder).pathname;

const sorted = <T>(record: Record<string, T>): Record<string, T> =>
  Object.fromEntries(Object.entries(record).sort(([a], [b]) => (a < b ? -1 : 1)));
const textOf = (content: object): string => `${JSON.stringify(content, null, 2)}\n`;
export const read = (file: string): Record<string, object> =>
  existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
export const fixtureNames = (): string[] => readdirSync(folder).filter((name) => /\.v\d+\.json$/.test(name));

/** `released` with the states that it lacks; every other byte stays. */
export const completed = (
  released: Record<string, object>,
  today: Record<string, object>,
): Record<string, object> => sorted({ ...today, ...released });

if (import.meta.main) {
  for (const [id, { version }] of Object.entries(registry) as [MachineId, (typeof registry)[MachineId]][]) {
    const [snapshots, shape] = [fixtureFile(id, version), shapeFile(id, version)];
    writeFileSync(snapshots, textOf(completed(read(snapshots), fixturesOf(id))));
    if (!existsSync(shape)) writeFileSync(shape, textOf(shapeOf(id)));
  }
  const ids = Object.keys(registry) as MachineId[];
  writeFileSync(vocabularyFile, textOf(Object.fromEntries(ids.map((id) => [id, vocabularyOf(id)]))));
}
