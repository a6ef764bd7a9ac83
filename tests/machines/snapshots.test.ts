/** A flow stored by any version, in any state, goes on in this build; one that does not parse says so and goes nowhere. */
import { readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import { type MachineId, registry } from '../../machines/index.ts';
import { restore } from '../../src/engine/snapshots.ts';
import { explore, lettersOf, stateOf, take } from './explore.ts';
import {
  completed,
  fixtureFile,
  fixtureNames,
  fixturesOf,
  read,
  shapeFile,
  shapeOf,
} from './make-fixtures.ts';

type Stored = { value: unknown; context: Record<string, unknown>; status: string };

const situations = Object.fromEntries(
  Object.keys(registry).map((id) => [id, explore(id as MachineId).situations]),
) as Record<MachineId, ReturnType<typeof explore>['situations']>;

const folder = new URL('fixtures/', import.meta.url);
const files = fixtureNames().map((name) => {
  const [, id, version] = /^(\w+)\.v(\d+)\.json$/.exec(name) as unknown as [string, MachineId, string];
  const stored = JSON.parse(readFileSync(new URL(name, folder), 'utf8')) as Record<string, Stored>;
  return { name, id, version: Number(version), stored };
});
const cases = files.flatMap(({ name, id, version, stored }) =>
  Object.entries(stored).map(([state, snapshot]) => ({ name, id, version, state, snapshot })),
);
const fixture = (id: MachineId, state: string): Stored =>
  structuredClone(
    cases.find((c) => c.id === id && c.state === state && c.version === registry[id].version)
      ?.snapshot as Stored,
  );

const RENAMED: Record<string, string> = { 'signup.v1 UNVERIFIED.otp_sent': 'UNVERIFIED.code_sent' };

describe.each(Object.values(registry))('$id v$version', ({ id, version }) => {
  const resting = [...new Set(situations[id as MachineId].map(stateOf))].sort();

  test('has a stored snapshot of each state it can rest in, in the current version', () => {
    const current = files.find((f) => f.id === id && f.version === version);
    expect(current, `npm run fixtures writes ${fixtureFile(id, version)}`).toBeDefined();
    expect(Object.keys(current?.stored ?? {}).sort()).toEqual(resting);
  });

  test('has stored snapshots of every version before', () => {
    const versions = files.filter((f) => f.id === id).map((f) => f.version);
    expect(versions.sort()).toEqual(Array.from({ length: version }, (_, i) => i + 1));
  });

  test('has the context that this version was released with: another one needs a version and an upgrade', () => {
    expect(shapeOf(id as MachineId)).toEqual(read(shapeFile(id, version)));
  });

  test('writes today every member that the release wrote, with the same kind of value', () => {
    const today = fixturesOf(id as MachineId);
    for (const [state, snapshot] of Object.entries(read(fixtureFile(id, version)))) {
      expect(kindsOf(today[state]), state).toMatchObject(kindsOf(snapshot) as object);
    }
  });

  test('has an upgrade from every version before', () => {
    const { upgrades } = registry[id as MachineId];
    expect(Object.keys(upgrades).map(Number)).toEqual(Array.from({ length: version - 1 }, (_, i) => i + 1));
  });
});

/** Names of members with the kind of each value; of a list only that it is one. */
function kindsOf(value: unknown): unknown {
  if (Array.isArray(value)) return 'list';
  if (value === null || typeof value !== 'object') return typeof value;
  return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, kindsOf(inner)]));
}

test('a released snapshot stays as it is when missing ones are written', () => {
  const released = { b: { value: 'b', context: { old: 1 } } };
  const today = { a: { value: 'a', context: {} }, b: { value: 'b', context: { fresh: 2 } } };
  expect(completed(released, today)).toEqual({ a: today.a, b: released.b });
  expect(Object.keys(completed(released, today))).toEqual(['a', 'b']);
});

test('v1 of sign-up is lifted to states that its next version had', () => {
  const statesOf = (name: string) => Object.keys(files.find((f) => f.name === name)?.stored ?? {});
  const lifted = statesOf('signup.v1.json').map((state) => RENAMED[`signup.v1 ${state}`] ?? state);
  expect(lifted.length).toBeGreaterThan(10);
  expect(statesOf('signup.v2.json')).toEqual(expect.arrayContaining(lifted));
});

describe.each(cases)('$name $state', ({ id, version, state, snapshot }) => {
  const definition = registry[id];
  const restored = restore(definition, version, snapshot);

  test('loads, lifted to the current version, and goes on', () => {
    if (!restored.ok) throw restored.error;
    expect(stateOf(restored.snapshot)).toBe(RENAMED[`${id}.v${version} ${state}`] ?? state);
    expect(definition.context.safeParse(restored.snapshot.context).success).toBe(true);
    const letters = lettersOf(id, restored.snapshot).filter(
      (l) => l.good && restored.snapshot.can(l.event as never),
    );
    for (const letter of letters) {
      const { after } = take(definition.machine, restored.snapshot, letter);
      expect(definition.context.safeParse(after.context).success, letter.event.type).toBe(true);
      // What it leads to can be stored and loaded again.
      const { value, context, status } = after;
      expect(
        restore(definition, definition.version, JSON.parse(JSON.stringify({ value, context, status }))).ok,
      ).toBe(true);
    }
    const live = situations[id].find((s) => stateOf(s) === stateOf(restored.snapshot));
    const ended = live !== undefined && lettersOf(id, live).every((l) => !live.can(l.event as never));
    expect(letters.length === 0).toBe(ended);
  });

  test('is refused, untouched, by a build that is older', () => {
    expect(restore({ ...definition, version: version - 1 }, version, snapshot)).toMatchObject({
      ok: false,
      newer: true,
    });
  });
});

describe('what does not parse', () => {
  const good = fixture('signup', 'LIMITED.kyc_submitted');
  const context = (change: Record<string, unknown>) => ({ ...good, context: { ...good.context, ...change } });
  const without = (key: string) => {
    const { [key]: _gone, ...rest } = good.context;
    return { ...good, context: rest };
  };
  const malformed: [string, unknown][] = [
    ['nothing', null],
    ['a number', 7],
    ['an empty object', {}],
    ['a list', [good]],
    ['an unknown state', { ...good, value: { LIMITED: 'kyc_magic' } }],
    ['an unknown tier', { ...good, value: 'GOLD' }],
    ['a state that is not whole: no default may fill it in', { ...good, value: 'LIMITED' }],
    ['two states at once', { ...good, value: { LIMITED: 'kyc_none', UNVERIFIED: 'code_sent' } }],
    ['a stage nothing rests in', { ...good, value: { UNVERIFIED: 'risk_gate' } }],
    ['no state', { context: good.context, status: 'active' }],
    ['no context', { value: good.value, status: 'active' }],
    ['a missing key', without('codeRetries')],
    ['an unknown key', context({ phone: '+14155550123' })],
    ['an unknown key deep inside', context({ kyc: { ...(good.context.kyc as object), number: 'x' } })],
    ['a wrong type', context({ codeRetries: 'many' })],
    ['negative attempts', context({ code: { ...(good.context.code as object), attemptsLeft: -1 } })],
    ['an unknown verdict', context({ risk: { decision: 'MAYBE', reasons: [], at: 0 } })],
    ['an unknown status', { ...good, status: 'error' }],
    ['done where nothing has ended', { ...good, status: 'done' }],
    ['active where all has ended', { ...good, value: 'expired', status: 'active' }],
    ['a key beside state, context and status', { ...good, children: {} }],
    ['an inherited state', { ...good, value: '__proto__' }],
  ];

  test.each(malformed)('%s is not loaded', (_what, stored) => {
    const restored = restore(registry.signup, registry.signup.version, stored);
    expect(restored).toMatchObject({ ok: false, newer: false });
    expect((restored as { error: unknown }).error).toBeInstanceOf(Error);
  });

  test('a v1 snapshot that is none is not loaded either', () => {
    for (const stored of [
      null,
      {},
      { ...good },
      { value: { UNVERIFIED: 'otp_sent' }, context: {}, status: 'active' },
    ]) {
      expect(restore(registry.signup, 1, stored).ok).toBe(false);
    }
  });

  test('a version without an upgrade is not loaded', () => {
    expect(restore(registry.signup, 0, good)).toMatchObject({ ok: false, newer: false });
    expect(restore(registry.login, 0, fixture('login', 'idle'))).toMatchObject({ ok: false, newer: false });
  });

  test('a newer version is left to the build that wrote it', () => {
    expect(restore(registry.signup, registry.signup.version + 1, good)).toMatchObject({
      ok: false,
      newer: true,
    });
  });

  test('restoring changes nothing of what was stored', () => {
    const before = structuredClone(good);
    restore(registry.signup, registry.signup.version, good);
    expect(good).toEqual(before);
  });
});
