/** A flow that exists only in words: a state, a likely context for it, an event, and what the machine makes of them. */
import type { AnyMachineSnapshot } from 'xstate';
import { ZodError } from 'zod';
import { toGraph } from '../../../machines/graph.ts';
import { type Definition, type MachineId, registry } from '../../../machines/index.ts';
import { SAMPLE, SAMPLE_SUBJECT } from '../../../machines/samples.ts';
import { restore } from '../../engine/snapshots.ts';
import { type FieldError, Problem } from '../../kernel/problems.ts';
import { onlyWords } from '../../kernel/words.ts';
import { type Preview, preview } from './preview.ts';
import { completeEvent, type Known } from './simulated-events.ts';

export type Question = {
  state: string;
  context?: Record<string, unknown> | undefined;
  event: { type: string; now?: number | undefined };
};

const MINUTE = 60_000;
const DAY = 24 * 60 * MINUTE;

/** What each state of each machine is. */
const KINDS = new Map(
  Object.values(registry).map(({ id, machine }) => [
    id,
    new Map(toGraph(machine).nodes.map((n) => [n.id, n.kind])),
  ]),
);

const refuse = (pointer: string, message: string): Problem =>
  new Problem('validation_failed', {
    errors: [{ pointer, code: 'invalid', message }] satisfies FieldError[],
  });

const isPlain = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Members given replace their like; members of members too, so that one of a group may be named alone. */
const merged = (base: Record<string, unknown>, given: Record<string, unknown>): Record<string, unknown> => ({
  ...base,
  ...Object.fromEntries(
    Object.entries(given).map(([key, value]) => {
      const before = base[key];
      return [key, isPlain(before) && isPlain(value) ? merged(before, value) : value];
    }),
  ),
});

/** What a flow that came to this state by the usual way remembers; whatever it leaves out is as the machine starts. */
function usualContext(machine: MachineId, state: string, now: number): Record<string, unknown> {
  const locked = state.endsWith('locked');
  const code = {
    counter: 1,
    attemptsLeft: locked ? 0 : 5,
    openAttemptsLeft: 5,
    expiresAt: now + 5 * MINUTE,
    lockedUntil: locked ? now + 60 * MINUTE : null,
  };
  if (state === 'idle') return {};
  if (machine === 'challenge') return { contactId: SAMPLE.contact, code, dueAt: now + 10 * MINUTE };
  if (machine === 'recovery')
    return {
      contactId: SAMPLE.contact,
      accountId: SAMPLE.account,
      passwordVersion: 1,
      dueAt: now + 30 * MINUTE,
    };
  if (machine === 'contact_change')
    return {
      contactId: SAMPLE.contact,
      accountId: SAMPLE.account,
      previousId: SAMPLE.previous,
      dueAt: now + 3 * DAY,
    };
  if (machine === 'login')
    return {
      contactId: SAMPLE.contact,
      subject: { ...SAMPLE_SUBJECT, knownDevice: false },
      passwordVersion: SAMPLE_SUBJECT.passwordVersion,
      sessionId: SAMPLE.session,
      required: 'presence',
      scope: ['*'],
      attemptsLeft: 3,
      provedAt: now,
      dueAt: state.startsWith('L6_result') ? null : now + 10 * MINUTE,
    };
  if (machine === 'factor')
    return {
      accountId: SAMPLE.account,
      factorId: SAMPLE.factor,
      kind: 'totp',
      attemptsLeft: 3,
      dueAt: state === 'setup' ? now + 10 * MINUTE : null,
    };
  if (machine !== 'signup') return {};
  const tiered = /^(LIMITED|FULL)/.test(state);
  const decision = state.endsWith('_pending')
    ? 'PENDING'
    : state.endsWith('_review')
      ? 'REVIEW'
      : state === 'risk_blocked'
        ? 'BLOCK'
        : tiered
          ? 'ALLOW'
          : null;
  return {
    contactId: SAMPLE.contact,
    accountId: /code_sent|locked/.test(state) ? null : SAMPLE.account,
    code,
    profileComplete: tiered || decision !== null,
    risk: decision && { decision, reasons: [], at: now },
    kyc: /kyc_(?!none)|FULL/.test(state) ? { id: SAMPLE.kyc, sequence: 0, submissions: 1 } : null,
    dueAt: tiered ? null : now + 30 * DAY,
  };
}

/** @throws Problem validation_failed for a state nobody can rest in or a context that does not parse */
function describedSnapshot(definition: Definition, question: Question, now: number): AnyMachineSnapshot {
  const path = question.state.split('.');
  const kind = KINDS.get(definition.id)?.get(question.state);
  if (!kind) throw refuse('/body/state', 'is no state of this machine');
  if (!onlyWords(question.context ?? {}))
    throw refuse(
      '/body/context',
      'takes ids, words, numbers and flags: nothing that could be about a person',
    );
  const start = definition.machine.config.context as Record<string, unknown>;
  const usual = merged(start, usualContext(definition.id as MachineId, question.state, now));
  const restored = restore(definition, definition.version, {
    value: path.reduceRight<unknown>((inner, key) => (inner === null ? key : { [key]: inner }), null),
    context: merged(usual, question.context ?? {}),
    status: kind === 'final' && path.length === 1 ? 'done' : 'active',
  });
  if (restored.ok) return restored.snapshot;
  if (!(restored.error instanceof ZodError)) throw refuse('/body/state', 'is no state a flow can rest in');
  throw fieldsOf('/body/context', restored.error);
}

const fieldsOf = (at: string, error: ZodError): Problem =>
  new Problem('validation_failed', {
    errors: error.issues
      .slice(0, 20)
      .map((issue) => ({ pointer: [at, ...issue.path].join('/'), code: issue.code, message: issue.message })),
  });

/** The event as asked about, completed from what the snapshot knows. @throws Problem validation_failed */
export function simulateOn(
  machine: MachineId,
  snapshot: AnyMachineSnapshot,
  event: Question['event'],
  now: number,
): Preview {
  const definition = registry[machine];
  if (!definition.machine.events.includes(event.type as never))
    throw refuse('/body/event/type', 'is no event of this machine');
  if (!onlyWords(event)) throw refuse('/body/event', 'takes ids, words, numbers and flags');
  const completed = completeEvent(machine, snapshot.context as Known, {
    ...event,
    now: event.now ?? now,
  });
  if (!completed.success) throw fieldsOf('/body/event', completed.error);
  return preview(definition.machine, snapshot, completed.data);
}

/** @throws Problem validation_failed */
export function simulate(machine: MachineId, question: Question, now: number): Preview {
  return simulateOn(machine, describedSnapshot(registry[machine], question, now), question.event, now);
}
