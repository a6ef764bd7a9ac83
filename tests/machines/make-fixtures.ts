/**
 * Writes what is missing of the stored snapshots and context shapes: `npm run fixtures`. What is there already is what a
 * release wrote and is never written again: a context that changes needs a new version and an upgrade.
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
}
