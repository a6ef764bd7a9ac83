/**
 * A committed step in the words of the XState inspector, made by hand: what is not named here does not go out. State,
 * event type, the flow's id and counters; never a context, an account, or anything an event carried.
 */
import type { AnyStateMachine } from 'xstate';
import type { StepRow } from '../../../db/commit.ts';
import { actionName, guardName } from '../../../machines/graph.ts';
import { type MachineId, registry } from '../../../machines/index.ts';

/** Of the protocol, not of this service: the package the messages are tested against. */
const PROTOCOL = '0.7.2';

const COUNTERS = new Set('counter attemptsLeft openAttemptsLeft codeRetries sequence submissions'.split(' '));

export type Message = {
  type: '@xstate.actor' | '@xstate.event' | '@xstate.snapshot';
  sessionId: string;
  [field: string]: unknown;
};

/** Numbers of a context by name; everything else stays here. */
function countersOf(context: unknown): Record<string, number> {
  const found: Record<string, number> = {};
  for (const [key, value] of Object.entries(context ?? {})) {
    if (typeof value === 'number' && COUNTERS.has(key)) found[key] = value;
    else if (typeof value === 'object' && value !== null) Object.assign(found, countersOf(value));
  }
  return found;
}

const stateValue = (state: string): unknown =>
  state.split('.').reduceRight<unknown>((inner, key) => (inner === null ? key : { [key]: inner }), null);

const asArray = (value: unknown): unknown[] =>
  value === undefined ? [] : Array.isArray(value) ? value : [value];

type Config = Record<string, unknown>;

const edgeOf = (t: Config | string): object =>
  typeof t === 'string'
    ? { target: t }
    : {
        ...(t.target === undefined ? {} : { target: t.target }),
        ...(t.guard === undefined ? {} : { guard: { type: guardName(t.guard) } }),
        ...(t.actions === undefined ? {} : { actions: asArray(t.actions).map(named) }),
      };
const named = (action: unknown): object => ({ type: actionName(action) });
const transitions = (list: unknown): object[] => asArray(list).map((t) => edgeOf(t as Config | string));

/** Shape and names of a machine: no context, no parameters, no code. */
function definitionOf({ id, type, initial, states, on, always, entry, exit, meta, tags }: Config): object {
  const each = <T>(of: unknown, make: (inner: T) => unknown) =>
    Object.fromEntries(Object.entries(of as Record<string, T>).map(([key, inner]) => [key, make(inner)]));
  return {
    ...(id === undefined ? {} : { id }),
    ...(type === undefined ? {} : { type }),
    ...(initial === undefined ? {} : { initial }),
    ...(meta === undefined ? {} : { meta }),
    ...(tags === undefined ? {} : { tags }),
    ...(entry === undefined ? {} : { entry: asArray(entry).map(named) }),
    ...(exit === undefined ? {} : { exit: asArray(exit).map(named) }),
    ...(on === undefined ? {} : { on: each(on, transitions) }),
    ...(always === undefined ? {} : { always: transitions(always) }),
    ...(states === undefined ? {} : { states: each(states, definitionOf) }),
  };
}

const definitions = new WeakMap<AnyStateMachine, string>();
export function definitionText(machine: MachineId): string {
  const known = registry[machine].machine;
  const text = definitions.get(known) ?? JSON.stringify(definitionOf(known.config as Config));
  definitions.set(known, text);
  return text;
}

const base = (step: StepRow) => ({
  sessionId: step.flowId,
  rootId: step.flowId,
  createdAt: String(step.at.getTime()),
  _version: PROTOCOL,
});

/** Tells of the flow, as it was before the step. */
export const actorMessage = (step: StepRow): Message => ({
  type: '@xstate.actor',
  ...base(step),
  id: step.flowId,
  name: step.machine,
  definition: definitionText(step.machine as MachineId),
  snapshot: { status: 'active', value: stateValue(step.fromState), context: {} },
});

export function stepMessages(step: StepRow): Message[] {
  const event = { type: step.event };
  const final = registry[step.machine as MachineId].machine.states[step.toState]?.type === 'final';
  const snapshot = {
    status: final ? 'done' : 'active',
    value: stateValue(step.toState),
    context: { step: step.seq, ...countersOf(step.context) },
  };
  return [
    { type: '@xstate.event', ...base(step), id: `${step.id}:event`, event },
    { type: '@xstate.snapshot', ...base(step), id: `${step.id}:snapshot`, event, snapshot },
  ];
}
