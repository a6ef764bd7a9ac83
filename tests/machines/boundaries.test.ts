/** The exact moment a deadline passes and the exact count at which attempts end: one step before is still accepted. */
import { describe, expect, test } from 'vitest';
import type { AnyMachineSnapshot } from 'xstate';
import { type MachineId, registry } from '../../machines/index.ts';
import { SUBJECT } from './alphabets.ts';
import { after, stateOf } from './explore.ts';

const NOW = 1_790_000_000_000;
const TTL = 600_000;

const send = (id: MachineId, events: { type: string }[]) => after(registry[id].machine, events);

describe('a step-up', () => {
  const stranger = { ...SUBJECT, knownDevice: false };
  const proved = (attempts: number) => ({
    type: 'PRIMARY_PROVED',
    now: NOW,
    method: 'phone_code',
    contactId: 'contact',
    subject: stranger,
    sessionId: 'session',
    deviceId: 'device',
    persistent: false,
    endsAt: null,
    highRisk: false,
    firstProof: 'aal1',
    answered: null,
    stepUp: { attempts, ttlMs: TTL },
  });
  const answered = (ok: boolean, now: number) => ({
    type: 'STEP_UP_ANSWERED',
    now,
    factorId: 'pin',
    failures: 0,
    ok,
    subject: stranger,
  });
  const reached = (attempts: number, ...events: { type: string }[]) =>
    send('login', [proved(attempts), ...events]);
  const ends = (snapshot: AnyMachineSnapshot) => [
    stateOf(snapshot),
    (snapshot.context as { denial: string | null }).denial,
  ];

  test('is due exactly its time to live after the first factor', () => {
    expect(reached(3)).toMatchObject({ value: 'L4_step_up', context: { dueAt: NOW + TTL } });
  });

  test.each([
    ['right, in the last millisecond', answered(true, NOW + TTL - 1), ['L6_result.AUTHENTICATED', null]],
    ['right, at the deadline', answered(true, NOW + TTL), ['L6_result.DENIED', 'step_up_failed']],
    ['right, after the deadline', answered(true, NOW + TTL + 1), ['L6_result.DENIED', 'step_up_failed']],
    ['wrong, in the last millisecond', answered(false, NOW + TTL - 1), ['L4_step_up', null]],
    ['wrong, at the deadline', answered(false, NOW + TTL), ['L6_result.DENIED', 'step_up_failed']],
  ])('an answer that is %s', (_, event, expected) => {
    expect(ends(reached(3, event))).toEqual(expected);
  });

  test('expires at its deadline and not one millisecond before', () => {
    const expire = (now: number) => ({ type: 'EXPIRE', now });
    expect(reached(3).can(expire(NOW + TTL - 1) as never)).toBe(false);
    expect(ends(reached(3, expire(NOW + TTL)))).toEqual(['L6_result.DENIED', 'expired']);
  });

  test('with no attempts accepts no answer, with one attempt exactly one', () => {
    expect(ends(reached(0, answered(true, NOW)))).toEqual(['L6_result.DENIED', 'step_up_failed']);
    expect(ends(reached(1, answered(true, NOW)))).toEqual(['L6_result.AUTHENTICATED', null]);
    expect(ends(reached(1, answered(false, NOW)))).toEqual(['L6_result.DENIED', 'step_up_failed']);
    expect(ends(reached(2, answered(false, NOW)))).toEqual(['L4_step_up', null]);
    const twice = reached(2, answered(false, NOW), answered(false, NOW));
    expect(ends(twice)).toEqual(['L6_result.DENIED', 'step_up_failed']);
    expect(twice.context).toMatchObject({ attemptsLeft: 0, dueAt: null });
  });
});

describe.each(['challenge', 'signup'] as const)('a code of %s', (id) => {
  const LOCK = 900_000;
  const terms = (attempts: number, openAttempts: number) => ({ ttlMs: TTL, attempts, openAttempts });
  const start = (attempts: number, openAttempts: number) => {
    const asked = { now: NOW, terms: terms(attempts, openAttempts), suppressed: false, contactId: 'contact' };
    return id === 'challenge'
      ? {
          ...asked,
          type: 'CODE_REQUESTED',
          accountId: null,
          audience: null,
          purpose: 'proof',
          ttlMs: 2 * TTL,
        }
      : { ...asked, type: 'PHONE_SUBMITTED', restart: false, ttlMs: 10 * TTL };
  };
  const checked = ({ matches = true, holder = true, now = NOW, counter = 1 } = {}) => ({
    type: 'CODE_CHECKED',
    now,
    verdict: { counter, matches, holder, lockMs: LOCK },
    opens: null,
    owner: null,
    accountId: 'account',
    grant: false,
    tokenTtlMs: TTL,
    risk: { decision: 'ALLOW', reasons: [], at: NOW },
    login: null,
  });
  const reached = (attempts: number, openAttempts: number, ...events: { type: string }[]) =>
    send(id, [start(attempts, openAttempts), ...events]);
  const place = (snapshot: AnyMachineSnapshot) => stateOf(snapshot).split('.').at(-1);
  const passed = id === 'challenge' ? 'verified' : 'preuser_created';

  test('is accepted in its last millisecond, and not at its expiry', () => {
    expect(place(reached(3, 3, checked({ now: NOW + TTL - 1 })))).toBe(passed);
    expect(place(reached(3, 3, checked({ now: NOW + TTL })))).toBe('code_sent');
  });

  test('with no attempts left to the holder is never accepted, with one once', () => {
    expect(place(reached(0, 3, checked()))).toBe('locked');
    expect(place(reached(1, 3, checked()))).toBe(passed);
    expect(place(reached(1, 3, checked({ matches: false })))).toBe('locked');
    expect(place(reached(2, 3, checked({ matches: false })))).toBe('code_sent');
  });

  test('with no attempts left to others is refused to them and still accepted from the holder', () => {
    const other = { holder: false };
    expect(place(reached(3, 0, checked(other)))).toBe('code_sent');
    expect(place(reached(3, 1, checked(other)))).toBe(passed);
    const spent = reached(3, 1, checked({ ...other, matches: false }), checked(other));
    expect(place(spent)).toBe('code_sent');
    expect(spent.context).toMatchObject({ code: { attemptsLeft: 3, openAttemptsLeft: 0 } });
    expect(place(reached(3, 1, checked({ ...other, matches: false }), checked()))).toBe(passed);
  });

  test('counts attempts down to zero and never below', () => {
    const wrong = (holder: boolean) => checked({ matches: false, holder });
    const low = reached(1, 1, wrong(false), wrong(false), wrong(true), wrong(true));
    expect(low.context).toMatchObject({ code: { attemptsLeft: 0, openAttemptsLeft: 0 } });
    expect(reached(0, 0, wrong(true)).context).toMatchObject({ code: { attemptsLeft: 0 } });
  });

  test('can be asked for again exactly when the lock ends', () => {
    const locked = reached(1, 3, checked({ matches: false }));
    expect(locked.context).toMatchObject({ code: { lockedUntil: NOW + LOCK } });
    const again = (now: number) => ({ type: 'CODE_REQUESTED', now, terms: terms(3, 3), suppressed: false });
    expect(locked.can(again(NOW + LOCK - 1) as never)).toBe(false);
    expect(locked.can(again(NOW + LOCK) as never)).toBe(true);
  });
});
