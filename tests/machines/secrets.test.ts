/** Snapshots and effect parameters hold ids, verdicts, counters and times; there is no place for anything else in them. */
import { describe, expect, test } from 'vitest';
import type { AnyMachineSnapshot } from 'xstate';
import { type MachineId, registry } from '../../machines/index.ts';
import { type Effect, explore, lettersOf, startOf, take } from './explore.ts';
import { read, type Vocabulary, vocabularyFile } from './make-fixtures.ts';

/** Every member a context may have and every parameter of an effect: adding one is a decision that shows in review. */
const vocabulary = read(vocabularyFile) as Record<string, Vocabulary>;

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;
/** Words of the product: states, reasons, scopes, roles. No digits to spell a number, no @ to spell an address. */
const WORD = /^[A-Za-z_.:*-]*\d?$/;

const pathsIn = (value: unknown, prefix = ''): string[] =>
  value === null || typeof value !== 'object' || Array.isArray(value)
    ? []
    : Object.entries(value).flatMap(([k, v]) => [prefix + k, ...pathsIn(v, `${prefix}${k}.`)]);

const textsIn = (value: unknown): string[] =>
  typeof value === 'string'
    ? [value]
    : value !== null && typeof value === 'object'
      ? Object.values(value).flatMap(textsIn)
      : [];

function harmless(id: MachineId, snapshot: AnyMachineSnapshot, effects: Effect[]): string[] {
  const allowed = new Set(vocabulary[id]?.context);
  const found = pathsIn(snapshot.context).filter((path) => !allowed.has(path));
  for (const { type, params } of effects) {
    if (type.startsWith('xstate.')) continue;
    const known = vocabulary[id]?.effects[type] ?? [];
    found.push(...Object.keys(params).flatMap((k) => (known.includes(k) ? [] : [`${type}(${k})`])));
  }
  const texts = [...textsIn(snapshot.context), ...effects.flatMap((e) => textsIn(e.params))];
  found.push(...texts.filter((text) => !UUID.test(text) && !WORD.test(text)));
  return found;
}

/** mulberry32: walks that can be repeated. */
function random(seed: number): () => number {
  let a = seed;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** What people and providers write, on every event that has room for it, and on every one that has none. */
const CANARIES = {
  phone: '+14155550123',
  email: 'canary@example.org',
  password: 'Canary-Passw0rd!',
  pin: '8317',
  code: '918273',
  otp: '918273',
  document_number: 'ABCPD1234E',
  first_name: 'Canary Birdsong',
  reason: 'Canary Birdsong said so',
};

describe.each(Object.keys(registry) as MachineId[])('%s', (id) => {
  const { machine, context: schema } = registry[id];

  test('keeps and passes on nothing but what is on the list, on every step there is', () => {
    const found = new Set<string>();
    explore(id, {
      visit: ({ after, effects }) => {
        for (const f of harmless(id, after, effects)) found.add(f);
      },
    });
    expect([...found]).toEqual([]);
  });

  test('takes nothing up from an event that carries more than it should, over random walks', () => {
    const next = random(7);
    for (let walk = 0; walk < 150; walk++) {
      let snapshot = startOf(machine);
      for (let step = 0; step < 30; step++) {
        const letters = lettersOf(id, snapshot).filter((l) => snapshot.can(l.event as never));
        const letter = letters[Math.floor(next() * letters.length)];
        if (!letter) break;
        const { after, effects } = take(machine, snapshot, {
          ...letter,
          event: { ...letter.event, ...CANARIES },
        });
        const kept = JSON.stringify([after.context, effects.filter((e) => e.type !== 'decideKyc')]);
        for (const canary of Object.values(CANARIES)) expect(kept, letter.event.type).not.toContain(canary);
        snapshot = after;
      }
    }
  });

  test('has a context schema that refuses unknown keys at every depth', () => {
    const { situations } = explore(id);
    const deepest = situations.reduce((a, b) =>
      pathsIn(b.context).length > pathsIn(a.context).length ? b : a,
    );
    const objects = ['', ...pathsIn(deepest.context)].filter((path) => {
      const at = path.split('.').reduce<unknown>((o, k) => (k ? (o as never)[k] : o), deepest.context);
      return at !== null && typeof at === 'object' && !Array.isArray(at);
    });
    expect(schema.safeParse(deepest.context).success).toBe(true);
    for (const path of objects) {
      const copy = structuredClone(deepest.context);
      const at = path.split('.').reduce<never>((o, k) => (k ? o[k] : o), copy as never);
      (at as Record<string, unknown>).phone = CANARIES.phone;
      expect(schema.safeParse(copy).success, path || 'the context itself').toBe(false);
    }
  });
});
