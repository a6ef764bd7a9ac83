/** Every (state × event) pair: what is accepted stands in this table, so that a change shows; all else is refused. */
import { describe, expect, test } from 'vitest';
import type { AnyMachineSnapshot } from 'xstate';
import { toGraph } from '../../machines/graph.ts';
import { type MachineId, registry } from '../../machines/index.ts';
import { explore, lettersOf, nameOf, startOf, stateOf } from './explore.ts';

const CODE = 'CODE_REQUESTED CODE_CHECKED EXPIRE';
const KYC_NO = 'KYC_REJECTED KYC_REVOKED';

/** Resting state → the events it accepts with the right facts. */
const ACCEPTED: Record<MachineId, Record<string, string>> = {
  signup: {
    idle: 'PHONE_SUBMITTED REGISTERED IMPORTED',
    'UNVERIFIED.code_sent': `${CODE} ABANDON`,
    'UNVERIFIED.locked': `${CODE} ABANDON`,
    'UNVERIFIED.preuser_created': 'PASSWORD_SET ABANDON EXPIRE',
    'UNVERIFIED.credentials_set': 'PROFILE_SUBMITTED ABANDON EXPIRE',
    'UNVERIFIED.risk_pending': 'RISK_EVALUATED EXPIRE',
    'UNVERIFIED.risk_review': 'REVIEW_DECIDED EXPIRE',
    'LIMITED.kyc_none': 'PROFILE_SUBMITTED KYC_SUBMITTED',
    'LIMITED.kyc_submitted': `KYC_APPROVED KYC_REVIEW_REQUIRED ${KYC_NO}`,
    'LIMITED.kyc_risk_pending': `RISK_EVALUATED ${KYC_NO}`,
    'LIMITED.kyc_review': `REVIEW_DECIDED ${KYC_NO}`,
    'LIMITED.kyc_rejected': 'KYC_SUBMITTED',
    'LIMITED.kyc_refused': '',
    FULL: 'KYC_REVOKED',
    registered: '',
    resumed: '',
    risk_blocked: '',
    expired: '',
    abandoned: '',
  },
  login: {
    idle: 'PRIMARY_PROVED',
    L4_step_up: 'STEP_UP_ANSWERED EXPIRE',
    'L6_result.AUTHENTICATED': '',
    'L6_result.ONBOARDING_REQUIRED': '',
    'L6_result.DENIED': '',
  },
  challenge: {
    idle: 'CODE_REQUESTED',
    code_sent: CODE,
    locked: CODE,
    verified: '',
    expired: '',
  },
  recovery: {
    idle: 'RESET_REQUESTED',
    requested: 'PASSWORD_RESET EXPIRE',
    unanswered: '',
    completed: '',
    expired: '',
  },
  contact_change: {
    idle: 'CONTACT_ADDED CONTACT_REMOVED',
    undoable: 'CHANGE_UNDONE EXPIRE',
    settled: '',
    undone: '',
    expired: '',
  },
  trading_link: {
    idle: 'LINKED',
    pending_verification: 'ROTATED UNLINKED',
    active: 'CHECKED EXPIRE ROTATED UNLINKED',
    credentials_expired: 'CHECKED ROTATED UNLINKED',
    error: 'CHECKED ROTATED UNLINKED',
    deactivated: '',
  },
  factor: {
    idle: 'SETUP_STARTED',
    setup: 'CONFIRMED EXPIRE',
    confirmed: 'DISABLED REPLACED LOCKED',
    locked: 'DISABLED REPLACED',
    disabled: '',
    replaced: '',
    abandoned: '',
  },
};

/** Bad facts an accepted event may carry, because counting them is the point; every other bad fact is refused. */
const COUNTED = new Set(['CODE_CHECKED', 'STEP_UP_ANSWERED', 'CONFIRMED']);

const words = (list: string): string[] => list.split(' ').filter(Boolean).sort();

describe.each(Object.keys(registry) as MachineId[])('%s', (id) => {
  const situations = new Map<string, AnyMachineSnapshot[]>();
  for (const snapshot of explore(id).situations) {
    const state = stateOf(snapshot);
    situations.set(state, [...(situations.get(state) ?? []), snapshot]);
  }
  const events = (id: MachineId) =>
    new Set(lettersOf(id, startOf(registry[id].machine)).map((l) => l.event.type));

  test('rests in these states and no others, each of them reachable', () => {
    expect([...situations.keys()].sort()).toEqual(Object.keys(ACCEPTED[id]).sort());
  });

  test('has a letter for every event it declares', () => {
    const declared = new Set(
      toGraph(registry[id].machine)
        .edges.map((e) => e.event)
        .filter(Boolean),
    );
    expect([...events(id)].sort()).toEqual([...declared].sort());
  });

  test.each(Object.entries(ACCEPTED[id]))('%s accepts exactly: %s', (state, list) => {
    const found = new Set<string>();
    for (const snapshot of situations.get(state) ?? []) {
      for (const { event } of lettersOf(id, snapshot)) {
        if (snapshot.can(event as never)) found.add(event.type);
      }
    }
    expect([...found].sort()).toEqual(words(list));
  });

  test('refuses every event with wrong facts, unless counting them is the point', () => {
    for (const [state, snapshots] of situations) {
      for (const snapshot of snapshots) {
        for (const letter of lettersOf(id, snapshot)) {
          if (letter.good || COUNTED.has(letter.event.type)) continue;
          expect(snapshot.can(letter.event as never), `${state}: ${nameOf(letter)}`).toBe(false);
        }
      }
    }
  });
});
