/** The graph names every state, guard and action, tells exactly which edges a step takes, and proves gates. */

import { describe, expect, test } from 'vitest';
import {
  type AnyMachineSnapshot,
  and,
  createMachine,
  initialTransition,
  not,
  or,
  setup,
  transition,
} from 'xstate';
import { ANONYMOUS, guardName, toGraph } from '../../machines/graph.ts';
import { loginMachine } from '../../machines/login.ts';
import { edgesTaken } from '../machines/explore.ts';
import { dominates, reachable, simplePathCount } from '../machines/graph-proof.ts';
import { sampleMachine } from './sample-machine.ts';

const graph = toGraph(sampleMachine);
const edge = (key: string) => graph.edges.find((e) => e.key === key);
type Sent = Parameters<typeof transition<typeof sampleMachine>>[2];
const sent = (...events: Sent[]) =>
  events.reduce(
    (snapshot, event) => transition(sampleMachine, snapshot, event)[0],
    initialTransition(sampleMachine)[0],
  );
const taken = (snapshot: AnyMachineSnapshot, event: Sent) => edgesTaken(sampleMachine, snapshot, event);

describe('toGraph', () => {
  test('lists every state with its place, kind and meta', () => {
    expect(graph.nodes.map((n) => n.id)).toEqual([
      ...['idle', 's1', 's2', 'challenge', 's3', 's4', 's5'],
      ...['LIMITED', 'LIMITED.active', 'LIMITED.review', 'FULL', 'blocked'],
    ]);
    expect(graph.nodes.find((n) => n.id === 'LIMITED')).toEqual({
      id: 'LIMITED',
      key: 'LIMITED',
      parent: null,
      kind: 'compound',
      initial: 'LIMITED.active',
      meta: { tier: 'LIMITED', milestone: 1 },
      description: null,
      tags: [],
      entry: ['welcome'],
      exit: [],
    });
    expect(graph).toMatchObject({ id: 'sample', version: '2', initial: 'idle' });
  });

  test('has one edge per declared transition, eventless, targetless and self transitions included', () => {
    expect(graph.edges).toHaveLength(16);
    expect(edge('s2||0')).toMatchObject({
      source: 's2',
      target: 's3',
      event: '',
      guard: 'lowRisk and opened',
    });
    expect(edge('challenge|NOTE|0')).toMatchObject({ target: null, actions: ['note'] });
    expect(edge('challenge|ANSWER|1')).toMatchObject({
      target: 'challenge',
      reenter: true,
      guard: 'triesLeft(max: 2)',
      actions: ['assign'],
    });
    expect(edge('s5||0')).toMatchObject({ target: 'LIMITED', actions: ['open(tier: LIMITED)'] });
    expect(edge('LIMITED.review|UPGRADE|0')).toMatchObject({ target: 'FULL' });
    expect(new Set(graph.edges.map((e) => e.key)).size).toBe(graph.edges.length);
  });

  test('names composed guards readably and admits an inline one has no name', () => {
    expect(guardName(and(['a', or(['b', not('c')])]))).toBe('a and (b or not c)');
    expect(guardName(not(and(['a', 'b'])))).toBe('not (a and b)');
    expect(
      guardName(
        (
          () => () =>
            true
        )(),
      ),
    ).toBe(ANONYMOUS);
  });
});

describe('edgesTaken', () => {
  test('follows five eventless stages, each guard reading what the stage before it assigned', () => {
    expect(taken(sent(), { type: 'OPEN', risk: 10 })).toEqual([
      ...['idle|OPEN|0', 's1||1', 's2||0', 's3||0', 's4||0', 's5||0'],
    ]);
  });

  test('stops where the pipeline rests and continues from there', () => {
    expect(taken(sent(), { type: 'OPEN', risk: 90 })).toEqual(['idle|OPEN|0', 's1||1', 's2||1']);
    const resting = sent({ type: 'OPEN', risk: 90 });
    expect(taken(resting, { type: 'ANSWER', right: false })).toEqual(['challenge|ANSWER|1']);
    expect(taken(resting, { type: 'NOTE' })).toEqual(['challenge|NOTE|0']);
    expect(taken(resting, { type: 'ANSWER', right: true })).toEqual([
      ...['challenge|ANSWER|0', 's3||0', 's4||0', 's5||0'],
    ]);
  });

  test('tells the first guarded alternative from the last, unguarded one', () => {
    expect(taken(sent(), { type: 'OPEN', risk: -1 })).toEqual(['idle|OPEN|0', 's1||0']);
    const wrong: Sent = { type: 'ANSWER', right: false };
    expect(taken(sent({ type: 'OPEN', risk: 90 }, wrong, wrong), wrong)).toEqual(['challenge|ANSWER|2']);
  });

  test('names the parent as the source of a transition the parent declares', () => {
    const limited = sent({ type: 'OPEN', risk: 10 });
    expect(limited.value).toEqual({ LIMITED: 'active' });
    expect(taken(limited, { type: 'BLOCK' })).toEqual(['LIMITED|BLOCK|0']);
  });

  test('is empty for a refused and for a forbidden event', () => {
    expect(taken(sent(), { type: 'UPGRADE' })).toEqual([]);
    expect(taken(sent({ type: 'OPEN', risk: 10 }, { type: 'UPGRADE' }), { type: 'NOTE' })).toEqual([]);
  });

  test('agrees on a restored snapshot', () => {
    const { value, context } = sent({ type: 'OPEN', risk: 90 });
    const restored = sampleMachine.resolveState({ value, context });
    expect(taken(restored, { type: 'ANSWER', right: true })).toHaveLength(4);
  });

  test('follows the completion of a compound state', () => {
    const m = createMachine({
      id: 'm',
      initial: 'a',
      states: {
        a: {
          initial: 'b',
          states: { b: { on: { GO: 'c' } }, c: { type: 'final' } },
          onDone: 'd',
        },
        d: { always: 'e' },
        e: {},
      },
    });
    expect(edgesTaken(m, initialTransition(m)[0], { type: 'GO' })).toEqual([
      'a.b|GO|0',
      'a|xstate.done.state.m.a|0',
      'd||0',
    ]);
  });

  test('chooses the eventless transition of the innermost state, then its parent', () => {
    const m = setup({
      types: { context: {} as { n: number } },
      guards: { big: ({ context }) => context.n > 5 },
    });
    const machine = m.createMachine({
      context: { n: 9 },
      initial: 'start',
      states: {
        start: { on: { GO: 'outer' } },
        outer: {
          initial: 'inner',
          always: { target: 'end' },
          states: { inner: { always: { guard: 'big', target: 'deep' } }, deep: {} },
        },
        end: {},
      },
    });
    expect(edgesTaken(machine, initialTransition(machine)[0], { type: 'GO' })).toEqual([
      ...['start|GO|0', 'outer.inner||0', 'outer||0'],
    ]);
  });
});

describe('the real login', () => {
  const subject = {
    accountId: 'a',
    status: 'active',
    tier: 'FULL',
    factors: [{ id: 'pin', kind: 'pin', level: 'presence', amr: ['pin'] }],
    mfa: false,
    knownDevice: false,
    passwordVersion: 1,
    signupFlowId: null,
  };
  const proved = {
    type: 'PRIMARY_PROVED',
    now: 0,
    method: 'password',
    contactId: 'c',
    subject,
    sessionId: 's',
    deviceId: null,
    persistent: false,
    endsAt: null,
    highRisk: false,
    firstProof: 'aal1',
    answered: null,
    stepUp: { attempts: 3, ttlMs: 1000 },
  };
  const start = initialTransition(loginMachine)[0];
  const go = (snapshot: AnyMachineSnapshot, event: object) =>
    edgesTaken(loginMachine, snapshot, event as never);

  test('runs L1 to L6 at once on a known device', () => {
    expect(go(start, { ...proved, subject: { ...subject, knownDevice: true } })).toEqual([
      'idle|PRIMARY_PROVED|0',
      ...['L1_identity||0', 'L2_status||0', 'L3_guard||0', 'L4_step_up||0', 'L5_tokens||0'],
    ]);
  });

  test('rests at L4 on a new one, and passes L2 to L4 again once the PIN is right', () => {
    expect(go(start, proved)).toEqual([
      'idle|PRIMARY_PROVED|0',
      'L1_identity||0',
      'L2_status||0',
      'L3_guard||0',
    ]);
    const [resting] = transition(loginMachine, start, proved as never);
    const answer = { type: 'STEP_UP_ANSWERED', now: 1, factorId: 'pin', ok: true, failures: 0, subject };
    expect(go(resting, answer)).toEqual([
      'L4_step_up|STEP_UP_ANSWERED|0',
      ...['L2_status||0', 'L3_guard||0', 'L4_step_up||0', 'L5_tokens||0'],
    ]);
    expect(go(resting, { ...answer, ok: false })).toEqual(['L4_step_up|STEP_UP_ANSWERED|2']);
  });

  test('denies a blocked account at L2', () => {
    expect(go(start, { ...proved, subject: { ...subject, status: 'blocked' } })).toEqual([
      ...['idle|PRIMARY_PROVED|0', 'L1_identity||0', 'L2_status||3'],
    ]);
  });
});

describe('proofs', () => {
  test('reachable enters initial children and takes the edges of active ancestors', () => {
    expect(reachable(graph, 'LIMITED')).toEqual(
      new Set(['LIMITED', 'LIMITED.active', 'LIMITED.review', 'FULL', 'blocked']),
    );
  });

  test('dominates holds for a real gate, fails for a bypassed one and for an unreachable target', () => {
    expect(dominates(graph, 'idle', (e) => e.actions.includes('open(tier: LIMITED)'), 'FULL')).toBe(true);
    expect(dominates(graph, 'idle', (e) => e.guard === 'right', 'FULL')).toBe(false);
    expect(dominates(graph, 'LIMITED', () => true, 'idle')).toBe(false);
  });

  test('simplePathCount counts parallel edges apart and never revisits a state', () => {
    expect(simplePathCount(graph, 'idle', 'LIMITED')).toBe(2);
    expect(simplePathCount(graph, 'idle', 'FULL', { without: (e) => e.guard === 'right' })).toBe(1);
    expect(simplePathCount(graph, 'challenge', 'blocked')).toBe(3);
  });
});
