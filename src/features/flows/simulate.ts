/** A flow that exists only in words: a state, a likely context for it, an event, and what the machine makes of them. */
import type { AnyMachineSnapshot } from 'xstate';
import { ZodError } from 'zod';
import { toGraph } from '../../../machines/graph.ts';
import { type Definition, type MachineId, registry } from '../../../machines/index.ts';
import { bare, type EventDeclaration } from '../../../machines/module.ts';
import { restore } from '../../engine/snapshots.ts';
import { type FieldError, Problem } from '../../kernel/problems.ts';
import { onlyWords } from '../../kernel/words.ts';
import { type Preview, preview } from './preview.ts';

export type Question = {
  state: string;
  context?: Record<string, unknown> | undefined;
  event: { type: string; now?: number | undefined };
};

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
  const usual = merged(start, definition.usual(question.state, now));
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

/** The usual facts of the event, with those given in their place. */
function complete(declared: EventDeclaration, context: object, given: Record<string, unknown>, now: number) {
  const usual: Record<string, unknown> = { ...declared.sample(context as Record<string, unknown>, now) };
  for (const [name, part] of Object.entries(declared.parts ?? {}))
    if (usual[name] === null && isPlain(given[name])) usual[name] = part;
  return declared.facts.safeParse(merged(usual, given));
}

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
  const { type, now: at = now, ...facts } = event;
  const completed = complete(definition.events[type] ?? bare, snapshot.context, facts, at);
  if (!completed.success) throw fieldsOf('/body/event', completed.error);
  const asked = { ...completed.data, type, now: at };
  return preview(definition.machine, snapshot, asked);
}

/** @throws Problem validation_failed */
export function simulate(machine: MachineId, question: Question, now: number): Preview {
  return simulateOn(machine, describedSnapshot(registry[machine], question, now), question.event, now);
}
