/**
 * Writes the stored snapshots of the current versions: `node tests/machines/make-fixtures.ts `node tests/machines/make-fixtures.ts`. A released`node tests/machines/make-fixtures.ts`. A released npm run format`. A released version's file
 * is history and never written again; files of versions that are not current are left alone.
 */
import { writeFileSync } from 'node:fs';
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
  return Object.fromEntries([...richest].sort(([a], [b]) => (a < b ? -1 : 1)));
}

export const fixtureFile = (id: string, version: number): string =>
  new URL(`fixtures/${id}.v${version}.json`, import.meta.url).pathname;

if (import.meta.main) {
  for (const { id, version } of Object.values(registry)) {
    writeFileSync(fixtureFile(id, version), `${JSON.stringify(fixturesOf(id as MachineId), null, 2)}\n`);
  }
}
