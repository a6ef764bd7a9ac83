/** The order of the floors, read off every import: nothing leads up, nothing leads round, no slice knows a sister. */
import { describe, expect, test } from 'vitest';
import { LEVELS } from '../src/wiring/features.ts';
import { fileCircles, folderCircles, type Imports, readImports, upwardArrows } from './support/floors.ts';

const levels = LEVELS.map((level) => level.map(({ name }) => name));
const imports = readImports(new URL('../', import.meta.url), ['machines', 'db', 'src', 'bench']);

describe('the tree', () => {
  test('no import leads up, or to a sister', () => {
    expect(Object.keys(imports).length).toBeGreaterThan(250);
    expect(upwardArrows(imports, levels)).toEqual([]);
  });

  test('no files import each other in a circle', () => expect(fileCircles(imports)).toEqual([]));

  test('no folders import each other in a circle', () => expect(folderCircles(imports)).toEqual([]));
});

describe('what the rules catch', () => {
  const fine: Imports = {
    'src/features/login/routes.ts': ['src/features/sessions/refresh.ts', 'src/http/services.ts'],
    'src/features/sessions/refresh.ts': ['src/http/services.ts'],
    'src/features/account/routes.ts': [],
    'src/http/services.ts': ['db/client.ts'],
    'db/client.ts': [],
  };

  test('the fixture itself breaks none', () => {
    expect(upwardArrows(fine, levels)).toEqual([]);
    expect(fileCircles(fine)).toEqual([]);
    expect(folderCircles(fine)).toEqual([]);
  });

  test.each([
    ['an upward arrow', 'src/http/services.ts', 'src/features/sessions/refresh.ts'],
    ['a neighbour on the same floor', 'db/client.ts', 'machines/login.ts'],
    ['a sister of the same level', 'src/features/login/routes.ts', 'src/features/account/routes.ts'],
    ['a slice of a higher level', 'src/features/sessions/refresh.ts', 'src/features/account/routes.ts'],
  ])('%s', (_what, file, target) => {
    expect(upwardArrows({ ...fine, [file]: [target] }, levels)).toEqual([`${file} → ${target}`]);
  });

  test('a file outside the floors, and a slice without a level', () => {
    expect(upwardArrows({ 'src/stray.ts': [], 'src/features/stray/a.ts': [] }, levels)).toEqual([
      'src/stray.ts stands on no floor',
      'src/features/stray/a.ts has no level in wiring/features.ts',
    ]);
  });

  test('a circle of files', () => {
    const round = { 'db/a.ts': ['db/b.ts'], 'db/b.ts': ['db/c.ts'], 'db/c.ts': ['db/a.ts'] };
    expect(fileCircles(round)).toEqual([['db/a.ts', 'db/b.ts', 'db/c.ts']]);
  });

  test('a circle of folders without a circle of files', () => {
    const round = { 'db/a.ts': ['db/x/a.ts'], 'db/x/b.ts': ['db/b.ts'], 'db/x/a.ts': [], 'db/b.ts': [] };
    expect(fileCircles(round)).toEqual([]);
    expect(folderCircles(round)).toEqual([['db', 'db/x']]);
  });
});
