/** No path reaches LIMITED, FULL or a token without its gates: proven on the graph, and every guard proven to be needed. */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { describe, expect, test } from 'vitest';
import type { AnyStateMachine } from 'xstate';
import { type GraphEdge, type MachineGraph, toGraph } from '../../machines/graph.ts';
import { type MachineId, registry } from '../../machines/index.ts';
import { explore } from './explore.ts';
import { dominates, reachable, simplePathCount } from './graph-proof.ts';
import { monitors } from './monitors.ts';

const graphs = Object.fromEntries(
  Object.entries(registry).map(([id, { machine }]) => [id, toGraph(machine)]),
) as Record<MachineId, MachineGraph>;
const {
  signup,
  login,
  challenge,
  recovery,
  contact_change: contactChange,
  factor,
  trading_link: tradingLink,
} = graphs;

const needs = (edge: GraphEdge, guard: string): boolean =>
  edge.guard?.replaceAll(/[()]/g, '').split(' and ').includes(guard) ?? false;
const any =
  (...gates: ((edge: GraphEdge) => boolean)[]) =>
  (edge: GraphEdge): boolean =>
    gates.some((gate) => gate(edge));
const on =
  (event: string, guard: string) =>
  (edge: GraphEdge): boolean =>
    edge.event === event && needs(edge, guard);
/** Every way into a state, so that passing through it is the gate. */
const into = (state: string) => (edge: GraphEdge) => edge.target === state;
const gated = (graph: MachineGraph, target: string, gate: (edge: GraphEdge) => boolean) =>
  dominates(graph, graph.initial, gate, target);

const codeAccepted = on('CODE_CHECKED', 'codeAccepted');
const contactVerified = on('IMPORTED', 'contactVerified');
const riskPassed = any((e) => needs(e, 'riskPassed'), on('REVIEW_DECIDED', 'reviewApproved'));
const kycAccepted = any(on('KYC_APPROVED', 'verdictNewer'), on('REVIEW_DECIDED', 'reviewApproved'));

describe('sign-up', () => {
  test('reaches LIMITED only past an accepted code (or a verified import)', () => {
    expect(gated(signup, 'LIMITED', any(codeAccepted, contactVerified))).toBe(true);
    // Neither is dispensable: each is a way of its own.
    expect(gated(signup, 'LIMITED', codeAccepted)).toBe(false);
    expect(gated(signup, 'LIMITED', contactVerified)).toBe(false);
  });

  test('reaches LIMITED only past a passed risk', () => {
    expect(gated(signup, 'LIMITED', riskPassed)).toBe(true);
    const gate = any(into('UNVERIFIED.risk_gate'), into('UNVERIFIED.risk_review'));
    expect(gated(signup, 'LIMITED', gate)).toBe(true);
  });

  test('by phone reaches LIMITED only past credentials and a profile', () => {
    const without = any(
      on('CODE_CHECKED', 'byEmail'),
      on('CODE_CHECKED', 'addressAlone'),
      (e) => e.event === 'IMPORTED',
    );
    const byPhone: MachineGraph = { ...signup, edges: signup.edges.filter((e) => !without(e)) };
    expect(gated(byPhone, 'LIMITED', on('PASSWORD_SET', 'credentialPresented'))).toBe(true);
    expect(gated(byPhone, 'LIMITED', (e) => e.event === 'PROFILE_SUBMITTED')).toBe(true);
    for (const state of ['preuser_created', 'credentials_set', 'risk_gate']) {
      expect(gated(byPhone, 'LIMITED', into(`UNVERIFIED.${state}`)), state).toBe(true);
    }
  });

  test('by the address alone reaches LIMITED only past credentials and a profile', () => {
    const other = any(on('CODE_CHECKED', 'byEmail'), (e) => e.event === 'IMPORTED');
    const alone: MachineGraph = { ...signup, edges: signup.edges.filter((e) => !other(e)) };
    expect(gated(alone, 'LIMITED', on('PASSWORD_SET', 'credentialPresented'))).toBe(true);
    expect(gated(alone, 'LIMITED', (e) => e.event === 'PROFILE_SUBMITTED')).toBe(true);
  });

  test('reaches FULL only past an accepted KYC, and only from LIMITED', () => {
    expect(gated(signup, 'FULL', any(on('KYC_APPROVED', 'verdictNewer'), into('LIMITED.kyc_review')))).toBe(
      true,
    );
    // From LIMITED on, so that the approval of a risk review at sign-up does not count.
    expect(dominates(signup, 'LIMITED', kycAccepted, 'FULL')).toBe(true);
    const outside = reachable(signup, signup.initial, { without: into('LIMITED.kyc_submitted') });
    expect(outside.has('FULL')).toBe(false);
    for (const edge of signup.edges.filter(into('FULL'))) {
      expect(edge.source).toMatch(/^LIMITED\.kyc_(verified|review)$/);
      expect(
        needs(edge, 'riskPassed') || (needs(edge, 'reviewApproved') && needs(edge, 'riskNotBlocked')),
      ).toBe(true);
    }
  });

  test('passes the tiers in order and names a tier nowhere but at the entry of LIMITED and FULL', () => {
    const limited = any(into('LIMITED'), (e) => e.target?.startsWith('LIMITED.') === true);
    const beforeLimited: MachineGraph = {
      ...signup,
      edges: signup.edges.filter((e) => e.source === 'idle' || e.source.startsWith('UNVERIFIED')),
    };
    expect(reachable(beforeLimited).has('FULL')).toBe(false);
    expect(beforeLimited.edges.filter(limited).every((e) => e.target === 'LIMITED')).toBe(true);
    const namers = signup.nodes.filter((n) => n.entry.some((a) => a.startsWith('setTier')));
    expect(namers.map((n) => n.id)).toEqual(['LIMITED', 'FULL']);
    expect(signup.edges.flatMap((e) => e.actions).filter((a) => a.startsWith('setTier'))).toEqual([]);
    expect(signup.nodes.flatMap((n) => n.exit)).toEqual([]);
  });

  test('leaves FULL by revocation alone', () => {
    const leaving = signup.edges.filter((e) => e.source === 'FULL');
    expect(new Set(leaving.map((e) => e.event))).toEqual(new Set(['KYC_REVOKED']));
    expect(leaving.every((e) => needs(e, 'verdictNewer'))).toBe(true);
  });
});

describe('login', () => {
  const stages = ['L1_identity', 'L2_status', 'L3_guard', 'L4_step_up', 'L5_tokens'];
  const target = 'L6_result.AUTHENTICATED';

  test('reaches AUTHENTICATED only through L1 to L5, each by its guard', () => {
    for (const stage of stages) expect(gated(login, target, into(stage)), stage).toBe(true);
    for (const guard of [
      'accountKnown',
      'accountActive',
      'contactProven',
      'proofStands',
      'tierGranted',
      'factorsSatisfied',
    ]) {
      expect(
        gated(login, target, (e) => needs(e, guard)),
        guard,
      ).toBe(true);
    }
    expect(gated(login, target, (e) => e.event === 'PRIMARY_PROVED')).toBe(true);
  });

  test('passes the stages in order: none is reached without the one before it', () => {
    for (const [i, stage] of stages.slice(1).entries()) {
      expect(gated(login, stage, into(stages[i] as string)), stage).toBe(true);
    }
  });

  test('after an answered step-up, status, tier and factors are judged again', () => {
    for (const guard of ['accountActive', 'proofStands', 'tierGranted', 'factorsSatisfied']) {
      const answered = login.edges.filter(on('STEP_UP_ANSWERED', 'answerAccepted'));
      expect(answered.map((e) => e.target)).toEqual(['L2_status']);
      expect(
        dominates(login, 'L2_status', (e) => needs(e, guard), target),
        guard,
      ).toBe(true);
    }
  });

  test('opens a session in L5 and nowhere else, so no token exists before the step-up is answered', () => {
    expect(login.nodes.filter((n) => n.entry.includes('openSession')).map((n) => n.id)).toEqual([
      'L5_tokens',
    ]);
    for (const graph of Object.values(graphs)) {
      expect(
        graph.edges.filter((e) => e.actions.includes('openSession')),
        graph.id,
      ).toEqual([]);
      if (graph.id !== 'login') expect(graph.nodes.flatMap((n) => n.entry)).not.toContain('openSession');
    }
    // One way for each way in; past L1 there is one only.
    expect(simplePathCount(login, 'L1_identity', target)).toBe(1);
  });
});

describe('challenge, recovery and change of contacts', () => {
  test('a challenge is verified, and opens another flow, only past an accepted code', () => {
    expect(gated(challenge, 'verified', codeAccepted)).toBe(true);
    const opening = Object.values(graphs).flatMap((g) =>
      g.edges.filter((e) => e.actions.includes('openFlow')).map((e) => `${g.id}: ${e.event} ${e.guard}`),
    );
    expect(opening).toEqual([
      'signup:  riskPassed and personPresent',
      'challenge: CODE_CHECKED codeAccepted and opensLogin',
      'challenge: CODE_CHECKED codeAccepted and addsContact',
    ]);
  });

  test('a password is replaced only past a token that lives', () => {
    for (const guard of ['tokenLives', 'stillOwned'])
      expect(gated(recovery, 'completed', on('PASSWORD_RESET', guard)), guard).toBe(true);
  });

  test('a change of contacts is undone only past a link that lives, and only while it still stands', () => {
    const undoes = (guard: string) => on('CHANGE_UNDONE', guard);
    expect(gated(contactChange, 'undone', undoes('linkLives'))).toBe(true);
    expect(gated(contactChange, 'undone', any(undoes('stillAdded'), undoes('stillGone')))).toBe(true);
    const undone = contactChange.edges.filter(into('undone'));
    const left = undone.filter((e) => e.actions.includes('releaseContact'));
    expect(left).toHaveLength(2);
    for (const edge of left) expect(needs(edge, 'previousFree') || needs(edge, 'othersLeft')).toBe(true);
    for (const edge of undone)
      expect(edge.actions).toEqual(expect.arrayContaining(['endProofs', 'endSessions', 'notifyOwner']));
  });
});

describe('factor', () => {
  test('counts only past a right answer, and ends only by its owner', () => {
    expect(gated(factor, 'confirmed', on('CONFIRMED', 'answerRight'))).toBe(true);
    const proven = any(on('DISABLED', 'authorized'), on('REPLACED', 'authorized'));
    for (const end of ['disabled', 'replaced'])
      expect(dominates(factor, 'confirmed', proven, end), end).toBe(true);
  });

  test('tells the owner and downgrades other sessions wherever one comes or goes', () => {
    const moves = factor.edges.filter((e) =>
      e.actions.some((a) => a === 'confirmFactor' || (a === 'endFactor' && e.event === 'DISABLED')),
    );
    expect(moves).toHaveLength(6);
    for (const { actions } of moves)
      expect(actions).toEqual(expect.arrayContaining(['notifyOwner', 'downgradeSessions']));
  });
});

describe('trading link', () => {
  test('works only past a token that the broker has accepted', () => {
    const accepted = any((e) => needs(e, 'tokenProven'), on('CHECKED', 'accepted'));
    expect(gated(tradingLink, 'active', accepted)).toBe(true);
  });

  test('replaces credentials only by the next ones, and believes only checks of the current ones', () => {
    for (const [event, guard] of [
      ['ROTATED', 'nextCredentials'],
      ['CHECKED', 'currentCredentials'],
    ] as const) {
      const edges = tradingLink.edges.filter((edge) => edge.event === event);
      expect(edges, event).not.toEqual([]);
      for (const edge of edges) expect(needs(edge, guard), edge.key).toBe(true);
    }
  });

  test('ends by being unlinked alone, and never without destroying the credentials', () => {
    const ends = tradingLink.edges.filter(into('deactivated'));
    expect(ends.map(({ source }) => source).sort()).toEqual([
      'active',
      'credentials_expired',
      'error',
      'pending_verification',
    ]);
    for (const edge of ends) {
      expect(edge.event).toBe('UNLINKED');
      expect(edge.actions).toEqual(expect.arrayContaining(['shredCredentials', 'endShares']));
    }
  });
});

/**
 * What removing a guard means: one that lets pass is made always true, one that turns away is made always false.
 * Guards named here hold a promise; the walk then finds the promise broken.
 */
const HOLDS: Record<MachineId, Record<string, boolean>> = {
  signup: {
    sendSuppressed: false,
    lockOver: true,
    startsOver: true,
    codeAccepted: true,
    lastCheck: false,
    contactRegistered: false,
    signupUnderWay: false,
    byEmail: true,
    addressAlone: false,
    contactVerified: true,
    credentialPresented: true,
    personPresent: true,
    riskPassed: true,
    riskReview: true,
    riskPending: true,
    riskForSignup: true,
    riskForKyc: true,
    reviewApproved: true,
    reviewRejected: true,
    timeUp: true,
    preUserExists: true,
    notJudged: true,
    riskNotBlocked: true,
    profileComplete: true,
    profileMissing: true,
    submissionsLeft: true,
    verdictNewer: true,
    mayRetry: true,
  },
  login: {
    accountActive: true,
    contactProven: true,
    proofStands: true,
    byPassword: true,
    tierGranted: true,
    factorsSatisfied: true,
    answerAccepted: true,
    lastAnswer: false,
    timeUp: true,
  },
  challenge: {
    sendSuppressed: false,
    lockOver: true,
    codeAccepted: true,
    opensLogin: true,
    addsContact: true,
    lastCheck: false,
    timeUp: true,
  },
  recovery: { ownerKnown: true, sendSuppressed: false, tokenLives: true, stillOwned: true, timeUp: true },
  contact_change: {
    linkRead: true,
    linkLives: true,
    stillAdded: true,
    stillGone: true,
    previousFree: true,
    othersLeft: true,
    timeUp: true,
  },
  factor: {
    answerRight: true,
    codesDue: true,
    lastAnswer: false,
    authorized: true,
    othersLeft: true,
    timeUp: true,
  },
  trading_link: {
    tokenProven: true,
    nextCredentials: true,
    currentCredentials: true,
    accepted: true,
    refused: true,
    unreachable: true,
    tokenEnded: true,
    timeUp: true,
  },
};

/** Guards that only choose between ways that are all safe, and why. */
const ROUTES: Record<string, string> = {
  'login.accountKnown': 'without an account L2 denies, since nobody is not active: only the answer differs',
};

/** A step's own test may hold a guard to its promise: it calls `breaksWithout('machine', 'guard', …)`. */
const provenElsewhere = (id: MachineId): string[] => {
  const folder = new URL('../steps/', import.meta.url);
  const files = existsSync(folder) ? readdirSync(folder).map((name) => new URL(name, folder)) : [];
  return files.flatMap((file) =>
    [...readFileSync(file, 'utf8').matchAll(/\bbreaksWithout\(\s*'(\w+)',\s*'(\w+)'/g)].flatMap(
      ([, machine, guard]) => (machine === id ? [guard as string] : []),
    ),
  );
};

const guardsOf = (machine: AnyStateMachine): string[] => Object.keys(machine.implementations.guards);
const weakened = (id: MachineId, guard: string, answer: boolean): AnyStateMachine =>
  registry[id].machine.provide({ guards: { [guard]: () => answer } } as never);
const found = (id: MachineId, machine?: AnyStateMachine) =>
  explore(id, { monitor: monitors[id], stopAtFirst: true, ...(machine ? { machine } : {}) }).violations;

describe.each(Object.keys(registry) as MachineId[])('%s, over every event from every situation', (id) => {
  test('breaks no promise', () => {
    expect(found(id)).toEqual([]);
  });

  test('has each of its guards accounted for', () => {
    const accounted = [
      ...Object.keys(HOLDS[id]),
      ...provenElsewhere(id),
      ...Object.keys(ROUTES).flatMap((key) => (key.startsWith(`${id}.`) ? [key.split('.')[1]] : [])),
    ];
    expect(accounted.sort()).toEqual(guardsOf(registry[id].machine).sort());
    const used = new Set(graphs[id].edges.flatMap((e) => e.guard?.split(/ and | or /) ?? []));
    expect([...used].sort(), 'a guard that no edge names').toEqual(guardsOf(registry[id].machine).sort());
  });

  test.each(Object.entries(HOLDS[id]))('breaks one without its guard %s', (guard, answer) => {
    expect(found(id, weakened(id, guard, answer))).not.toEqual([]);
  });
});

test.each(Object.entries(ROUTES))('%s only routes: %s', (key) => {
  const [id, guard] = key.split('.') as [MachineId, string];
  for (const answer of [true, false]) expect(found(id, weakened(id, guard, answer))).toEqual([]);
});
