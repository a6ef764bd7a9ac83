/** The rules that keep the parts apart, read off the source: who may import, ask the clock, run a machine, write SQL. */
import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { toGraph } from '../machines/graph.ts';
import { registry } from '../machines/index.ts';
import { createEffectHandlers } from '../src/engine/effects.ts';
import { effectHandlers, LEVELS } from '../src/wiring/features.ts';

const root = new URL('../', import.meta.url);
const filesIn = (folder: string): string[] =>
  readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${folder}/${name}`)
    .sort();
const text = (file: string): string => readFileSync(new URL(file, root), 'utf8');
/** Without comments, which may speak of anything. */
const code = (file: string): string => text(file).replaceAll(/\/\*[\s\S]*?\*\/|(?<![:'"`])\/\/.*$/gm, '');

const [machines, db, src] = [filesIn('machines'), filesIn('db'), filesIn('src')];
const all = [...machines, ...db, ...src];
const containing = (pattern: RegExp, files = all): string[] => files.filter((f) => pattern.test(code(f)));
const importsOf = (file: string): string[] =>
  [...code(file).matchAll(/(?<!['\w])(?:from|import)\s*\(?\s*'([^'\n]+)'/g)].map(
    ([, specifier]) => specifier as string,
  );
/** Where a relative import leads, from the root. */
const targetOf = (file: string, specifier: string): string =>
  specifier.startsWith('.')
    ? new URL(specifier, new URL(file, root)).pathname.slice(root.pathname.length)
    : specifier;
const reaching = (files: string[], forbidden: (target: string) => boolean): string[] =>
  files.flatMap((file) =>
    importsOf(file).flatMap((specifier) => {
      const target = targetOf(file, specifier);
      return forbidden(target) ? [`${file} → ${target}`] : [];
    }),
  );

describe('layers', () => {
  test('machines import xstate, zod and themselves', () => {
    const allowed = (target: string) =>
      target === 'xstate' || target === 'zod' || target.startsWith('machines/');
    expect(reaching(machines, (target) => !allowed(target))).toEqual([]);
  });

  test('db does not know src', () => {
    expect(reaching(db, (target) => target.startsWith('src/'))).toEqual([]);
  });

  test('nothing that runs imports tests', () => {
    expect(reaching(all, (target) => target.startsWith('tests/'))).toEqual([]);
  });

  test('only the engine runs a machine, besides the preview, which stores nothing', () => {
    expect(containing(/(?<![.\w])(transition|initialTransition)\(/)).toEqual(['src/engine/advance.ts']);
    expect(containing(/(?<![.\w])(takeStep|getMicrosteps)\(/, src)).toEqual([
      'src/engine/advance.ts',
      'src/features/flows/preview.ts',
    ]);
    expect(
      reaching(['src/features/flows/preview.ts', 'src/features/flows/simulate.ts'], (target) =>
        target.startsWith('db/'),
      ),
    ).toEqual([]);
  });

  test('only db writes SQL', () => {
    const sql =
      /\bsql(<[^`]*>)?`|['"`]\s*(select|insert into|update|delete from|with)\s[^'"`]*\b(from|set|values|where|as)\b/i;
    expect(containing(sql, [...src, ...machines])).toEqual([]);
    expect([...src, ...machines].filter((file) => hasFragment(code(file)))).toEqual([]);
    // Statements are composed where they are written; of the driver only its errors are known elsewhere.
    const inner = (target: string) =>
      /^db\/(write|driver)\//.test(target) && !/\/(runner|conflicts|outage)\.ts$/.test(target);
    expect(reaching(src, (target) => inner(target) || target === 'db/schema.ts')).toEqual([]);
    expect(reaching(src, (target) => target === 'postgres' || target.startsWith('drizzle-orm'))).toEqual([]);
  });
});

/** Pieces of SQL in any string: a condition on a parameter, a test for null, a lock, an order, a cast. */
const FRAGMENT =
  /['"`][^'"`\n]*\b[a-z_.]+ (?:=|<>|<=|>=|<|>) (?:\?|\$\d|any\s*\()|['"`][^'"`\n]*\b(?:is (?:not )?null\b|for (?:no key )?update\b|order by [a-z_.]+)|['"`][^'"`\n]*::(?:int|text|uuid|jsonb|timestamptz)\b|\bsql: *['"`]|\bsql`/i;
const hasFragment = (text: string): boolean => FRAGMENT.test(text);

test.each([
  `{ sql: "id = ? and status = 'active'", params: [id] }`,
  "const where = 'contact_id = $1'",
  'const where = `expires_at <= ?`',
  "const where = 'revoked_at is null'",
  "const lock = ' for update'",
  "const last = 'order by created_at desc'",
  'const one = sql`id`',
  "const cast = '?::timestamptz'",
])('a fragment of SQL is seen: %s', (text) => {
  expect(hasFragment(text)).toBe(true);
});

describe('purity', () => {
  test('one file asks the clock, one reads the environment', () => {
    expect(containing(/\bDate\.now\(|\bnew Date\(\)/)).toEqual(['src/kernel/clock.ts']);
    expect(containing(/\bprocess\.env\b/)).toEqual(['src/config/index.ts']);
  });

  test('machines have no clock, no chance, no I/O and nothing of XState that needs an actor; the one there is never starts', () => {
    const impure = /\bDate\b|Math\.random|\bcrypto\b|\bprocess\b|\bfetch\b|\basync\b|\bawait\b|setTimeout/;
    const actors =
      /\b(invoke|after|spawn|spawnChild|sendTo|raise|fromPromise|createActor|enqueueActions)\b\s*[:(]/;
    expect(containing(impure, machines)).toEqual([]);
    expect(containing(actors, machines)).toEqual(['machines/take-step.ts']);
    expect(containing(/\.start\(/, machines)).toEqual([]);
    const histories = Object.values(registry).flatMap(({ machine }) =>
      toGraph(machine).nodes.filter((n) => n.kind === 'history' || n.kind === 'parallel'),
    );
    expect(histories).toEqual([]);
  });
});

describe('evidence', () => {
  /** Events that carry a verdict, and the only files that may build one. */
  const VERDICTS: Record<string, string[]> = {
    PRIMARY_PROVED: ['src/engine/proofs.ts'],
    STEP_UP_ANSWERED: ['src/engine/proofs.ts'],
    KYC_APPROVED: ['src/features/kyc/verdicts.ts'],
    KYC_REJECTED: ['src/features/kyc/verdicts.ts'],
    KYC_REVIEW_REQUIRED: ['src/features/kyc/verdicts.ts'],
    KYC_REVOKED: ['src/features/kyc/verdicts.ts'],
    RISK_EVALUATED: ['src/features/kyc/verdicts.ts'],
    REVIEW_DECIDED: ['src/features/kyc/verdicts.ts'],
  };

  test.each(Object.entries(VERDICTS))('%s is built in %s and nowhere else', (event, files) => {
    // What only names the events, to draw or to simulate them, stores nothing.
    const builders = containing(new RegExp(`type: '${event}'`), src).filter(
      (f) => !f.startsWith('src/console/'),
    );
    expect(builders).toEqual(files);
  });

  test('a code is checked only with a verdict of the proofs', () => {
    const builders = containing(/type: 'CODE_CHECKED'/, src).filter((f) => !f.startsWith('src/console/'));
    expect(builders).not.toEqual([]);
    for (const file of builders) {
      expect(code(file), file).toMatch(/proofs\.codeVerdict\(/);
      expect(code(file), file).not.toMatch(/\bmatches: true\b/);
    }
  });
});

describe('effects', () => {
  const deps = { keyring: {} as never, rules: {} as never };
  const named = Object.values(registry).flatMap(({ machine }) => {
    const { nodes, edges } = toGraph(machine);
    const actions = [...nodes.flatMap((n) => [...n.entry, ...n.exit]), ...edges.flatMap((e) => e.actions)];
    return actions.map((a) => a.replace(/\(.*/, '')).filter((a) => a !== 'assign');
  });

  test('each that a machine names has a handler, and each handler is named; openFlow is the engine’s own', () => {
    expect([...Object.keys(effectHandlers(deps)), 'openFlow'].sort()).toEqual([...new Set(named)].sort());
  });

  test('each is handled in one place', () => {
    const slices = LEVELS.flat().flatMap((feature) =>
      'effects' in feature ? Object.keys(feature.effects) : [],
    );
    const all = [...Object.keys(createEffectHandlers(deps)), ...slices];
    expect(all.length).toBe(new Set(all).size);
    expect(slices.length).toBeGreaterThan(0);
  });

  test('a machine has no implementation of one', () => {
    for (const { id, machine } of Object.values(registry))
      expect(Object.keys(machine.implementations.actions), id).toEqual([]);
  });
});

describe('size', () => {
  const CEILING = 400;
  /** Read as one text each: a lifecycle matches its picture, the schema every table. */
  const whole = (file: string) => file.startsWith('machines/') || file === 'db/schema.ts';

  test(`no file but machines and the schema is longer than ${CEILING} lines`, () => {
    const lines = (file: string) => text(file).split('\n').length - 1;
    expect(all.filter((file) => !whole(file) && lines(file) > CEILING)).toEqual([]);
  });

  test('every file begins by saying why it exists', () => {
    expect(all.filter((file) => !/^(#!.*\n)?\/\*\*/.test(text(file)))).toEqual([]);
  });
});
