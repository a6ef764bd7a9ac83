/** Every simple path of each machine, walked without I/O; each step is held to what must be true at all times. */
import { expect, test } from 'vitest';
import { type AnyMachineSnapshot, initialTransition } from 'xstate';
import { getSimplePaths } from 'xstate/graph';
import { type GraphEdge, toGraph } from '../../machines/graph.ts';
import { type MachineId, registry } from '../../machines/index.ts';
import type { Letter } from './alphabets.ts';
import { after, edgesTaken, explore, lettersOf, nameOf, stateOf, take } from './explore.ts';

const LEAVES = /^(LIMITED|FULL)/;

/** A simple path never comes back: an edge to where it started, or out of a lock, lies on none. */
const closes = (e: GraphEdge): boolean =>
  e.target === e.source || (e.source.endsWith('locked') && e.event === 'CODE_REQUESTED');

/** One letter for each edge sequence it can take from here: parallel edges are ways of their own, equal facts are not. */
function waysOut(id: MachineId, snapshot: AnyMachineSnapshot): Letter[] {
  const { machine } = registry[id];
  const seen = new Set<string>();
  return lettersOf(id, snapshot).filter((letter) => {
    if (!snapshot.can(letter.event as never)) return false;
    const edges = edgesTaken(machine, snapshot, letter.event as never);
    const way = [...edges, placeOf(take(machine, snapshot, letter).after)].join();
    if (seen.has(way)) return false;
    seen.add(way);
    return true;
  });
}

/** Attempts count as states of their own, so that locks and denials lie on a path. */
const placeOf = (snapshot: AnyMachineSnapshot): string => {
  const c = snapshot.context as {
    attemptsLeft?: number;
    satisfied?: string[];
    purpose?: string;
    entry?: string;
    code?: { attemptsLeft: number };
  };
  const left = stateOf(snapshot).match(LEAVES) ? null : (c.attemptsLeft ?? c.code?.attemptsLeft);
  return JSON.stringify([stateOf(snapshot), left, c.satisfied, c.purpose, c.entry]);
};

type Range = { id: MachineId; from?: AnyMachineSnapshot; stopWhen?: (s: AnyMachineSnapshot) => boolean };

const pathsOf = ({ id, from, stopWhen }: Range) =>
  getSimplePaths(registry[id].machine, {
    events: (s: AnyMachineSnapshot) => waysOut(id, s).map((l) => l.event),
    serializeState: placeOf,
    ...(from ? { fromState: from } : {}),
    ...(stopWhen ? { stopWhen } : {}),
  } as never) as unknown as { state: AnyMachineSnapshot; steps: { event: Letter['event'] }[] }[];

/** Invariants of a single step, of every machine. */
function hold(id: MachineId, before: AnyMachineSnapshot, letter: Letter): AnyMachineSnapshot {
  const { after, effects } = take(registry[id].machine, before, letter);
  const state = stateOf(after);
  const where = `${nameOf(letter)} → ${state}`;
  const context = after.context as {
    dueAt: number | null;
    attemptsLeft?: number;
    code?: { attemptsLeft: number; openAttemptsLeft: number };
  };
  const meta = toGraph(registry[id].machine).nodes.find((n) => n.id === state)?.meta;
  const tier = state.split('.')[0] as string;
  if (id === 'signup' && ['UNVERIFIED', 'LIMITED', 'FULL'].includes(tier)) {
    expect(meta?.tier, where).toBe(tier);
    // Below LIMITED a sign-up expires; an account does not.
    expect(context.dueAt === null, where).toBe(tier !== 'UNVERIFIED');
  }
  if (id === 'login') expect(context.dueAt === null, where).toBe(state.startsWith('L6_result'));
  if (id === 'challenge' || id === 'recovery' || id === 'contact_change')
    expect(context.dueAt, where).not.toBeNull();
  for (const left of [context.attemptsLeft, context.code?.attemptsLeft, context.code?.openAttemptsLeft]) {
    expect(left ?? 0, where).toBeGreaterThanOrEqual(0);
  }
  const opensSession = effects.some((e) => e.type === 'openSession');
  expect(opensSession, where).toBe(state === 'L6_result.AUTHENTICATED');
  return after;
}

/** Walks each path from its start with the letters of the situation it is really in. */
function walk(range: Range) {
  const { id, from } = range;
  const ends = new Set<string>();
  const taken = new Set<string>();
  const checked = new Set<string>();
  const paths = pathsOf(range);
  for (const { steps } of paths) {
    let snapshot = from ?? (initialTransition(registry[id].machine)[0] as AnyMachineSnapshot);
    let trail = '';
    for (const { event } of steps) {
      if (event.type.startsWith('xstate.')) continue;
      trail += `/${JSON.stringify(event)}`;
      const edges = edgesTaken(registry[id].machine, snapshot, event as never);
      for (const edge of edges) taken.add(edge);
      // Paths share beginnings: what was checked once is only repeated.
      snapshot = checked.has(trail)
        ? after(registry[id].machine, [event], snapshot)
        : hold(id, snapshot, { event, fact: '', good: true });
      checked.add(trail);
    }
    ends.add(stateOf(snapshot));
  }
  return { count: paths.length, ends, taken };
}

/** The first way by phone to LIMITED that the exploration finds. */
const atLimited = (): AnyMachineSnapshot =>
  explore('signup').situations.find(
    (s) => stateOf(s) === 'LIMITED.kyc_none' && s.context.entry === 'phone' && s.context.profileComplete,
  ) as AnyMachineSnapshot;

const restingOf = (id: MachineId): string[] =>
  toGraph(registry[id].machine).nodes.flatMap((n) => {
    const always = toGraph(registry[id].machine).edges.filter((e) => e.source === n.id && e.event === '');
    return n.initial === null && !always.some((e) => e.guard === null) ? [n.id] : [];
  });

test.each(['login', 'challenge', 'recovery', 'contact_change', 'factor'] as const)(
  '%s: every simple path holds',
  (id) => {
    const { ends, taken } = walk({ id });
    expect([...ends].sort()).toEqual(restingOf(id).sort());
    expect(
      toGraph(registry[id].machine)
        .edges.filter((e) => !taken.has(e.key) && !closes(e))
        .map((e) => e.key),
    ).toEqual([]);
  },
);

test('signup: every simple path to LIMITED or to an end holds', () => {
  const { ends, taken, count } = walk({ id: 'signup', stopWhen: (s) => LEAVES.test(stateOf(s)) });
  const expected = restingOf('signup').filter((s) => !LEAVES.test(s));
  expect([...ends].sort()).toEqual(['LIMITED.kyc_none', ...expected].sort());
  expect(count).toBeGreaterThan(100);
  const edges = toGraph(registry.signup.machine).edges.filter((e) => !LEAVES.test(e.source));
  expect(edges.filter((e) => !taken.has(e.key) && !closes(e)).map((e) => e.key)).toEqual([]);
});

test('signup: every simple path from LIMITED on holds', () => {
  const { ends, taken } = walk({ id: 'signup', from: atLimited() });
  expect([...ends].sort()).toEqual(
    restingOf('signup')
      .filter((s) => LEAVES.test(s))
      .sort(),
  );
  const edges = toGraph(registry.signup.machine).edges.filter((e) => LEAVES.test(e.source));
  // A second profile is refused to whoever brought one; a second document closes a circle;
  // a pending risk and a last try in review come to other entries and later rounds.
  const beyond = ['LIMITED.kyc_none|PROFILE_SUBMITTED|0', 'LIMITED.kyc_rejected|KYC_SUBMITTED|0'];
  const last = ['LIMITED.kyc_review|REVIEW_DECIDED|0', 'LIMITED.kyc_review|REVIEW_DECIDED|3'];
  const missed = edges
    .filter((e) => !taken.has(e.key) && ![...beyond, ...last].includes(e.key))
    .map((e) => e.key);
  expect(missed).toEqual([]);
});

test('login: each result tells the stages it crossed', () => {
  const crossed = new Map<string, Set<string>>();
  for (const { steps } of pathsOf({ id: 'login' })) {
    let snapshot = initialTransition(registry.login.machine)[0] as AnyMachineSnapshot;
    const stages: string[] = [];
    for (const { event } of steps) {
      if (event.type.startsWith('xstate.')) continue;
      stages.push(
        ...edgesTaken(registry.login.machine, snapshot, event as never).map((k) => k.split('|')[0] as string),
      );
      snapshot = after(registry.login.machine, [event], snapshot);
    }
    const end = stateOf(snapshot);
    crossed.set(end, (crossed.get(end) ?? new Set()).add([...new Set(stages)].join(' ')));
  }
  const through = (end: string) => [...(crossed.get(end) ?? [])].sort();
  expect(through('L6_result.AUTHENTICATED')).toEqual([
    'idle L1_identity L2_status L3_guard L4_step_up L5_tokens',
  ]);
  expect(through('L6_result.ONBOARDING_REQUIRED')).toEqual([
    'idle L1_identity',
    'idle L1_identity L2_status L3_guard',
  ]);
  expect(through('L4_step_up')).toEqual([
    'idle L1_identity L2_status L3_guard',
    'idle L1_identity L2_status L3_guard L4_step_up',
  ]);
});
