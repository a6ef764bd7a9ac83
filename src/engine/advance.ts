/** From an event to the rows of its commit, without reading or writing any. The only code that lets a machine take a step. */
import { type AnyMachineSnapshot, type AnyStateMachine, type EventObject, initialTransition } from 'xstate';
import type { Changes, FlowRow } from '../../db/commit.ts';
import type { Effects } from '../../machines/effects.ts';
import { type Definition, type MachineId, registry } from '../../machines/index.ts';
import { takeStep } from '../../machines/take-step.ts';
import { hashToken } from '../kernel/crypto/flow-token.ts';
import type { Keyring } from '../kernel/crypto/keyring.ts';
import type { SendContext } from './context.ts';
import type { EffectContext, EffectHandlers, Enclosures } from './effects.ts';
import { type FlowView, viewOf } from './snapshots.ts';
import { step } from './step-row.ts';

/** What one decision works on: effects turn into rows of `changes`. */
export type Work = {
  enclosures: Enclosures;
  context: SendContext;
  changes: Changes;
  /** Of accounts read for this decision. Throws for any other. */
  account(accountId: string): AccountRead;
};

/** What effects need to know of an account: `event_seq` as read, and how many of its sessions are not ended yet, if counted. */
export type AccountRead = { eventSeq: number; openSessions?: number };

/** Effects may name the account that was read for the decision, and no other. */
export const onlyAccount =
  (read: (AccountRead & { id: string }) | null | undefined) =>
  (id: string): AccountRead => {
    if (read?.id !== id) throw new Error('an effect names an account that was not read');
    return read;
  };

export function createAdvance({
  handlers,
  keyring,
  refused,
}: {
  handlers: EffectHandlers;
  keyring: Keyring;
  /** The error of an event its flow does not accept. */
  refused: (view: FlowView, event: string, now: number) => Error;
}) {
  /** One accepted event: next snapshot, step row and effects go into `changes`; followed flows are opened likewise. */
  function advance(
    definition: Definition,
    current: { row: FlowRow; snapshot: AnyMachineSnapshot; isNew: boolean },
    event: EventObject,
    work: Work,
  ): FlowView[] {
    const { enclosures, context, changes } = work;
    const { machine } = definition;
    const { next, effects, edges } = takeStep(machine, current.snapshot, event);
    const before = viewOf(definition, current.row, current.snapshot);
    const row: FlowRow = { ...current.row };
    const after = viewOf(definition, row, next);
    const moved = after.state !== before.state;
    Object.assign(row, {
      machineVersion: definition.version,
      version: current.row.version + 1,
      state: after.state,
      status: after.done ? 'done' : 'active',
      snapshot: { value: next.value, context: next.context, status: next.status },
      accountId: after.accountId,
      contactId: after.contactId,
      purpose: after.purpose,
      updatedAt: changes.now,
      stateEnteredAt: moved || current.isNew ? changes.now : current.row.stateEnteredAt,
      nextDueAt: after.done || after.dueAt === null ? null : new Date(after.dueAt),
    });
    changes.flows.push({ row, expectedVersion: current.isNew ? null : current.row.version });
    changes.steps.push(
      step(definition, row, context, event.type, edges, before.state, after.state, next.context),
    );

    const opened: FlowView[] = [];
    effects.forEach((action, index) => {
      if (action.type === 'openFlow') {
        const p = action.params as Effects['openFlow'];
        opened.push(
          ...start(registry[p.machine as MachineId], p.flowId, p.event, { ...work, enclosures: {} }),
        );
        return;
      }
      const handler = Object.hasOwn(handlers, action.type) && handlers[action.type as keyof EffectHandlers];
      if (!handler) throw new Error(`unknown effect ${action.type}`);
      (handler as (params: unknown, c: EffectContext) => void)(action.params, {
        id: `${row.id}:${row.version}:${index}`,
        at: context.now,
        flow: row,
        flowId: row.id,
        envelope: context.envelope,
        enclosures,
        changes,
        seqOf: (id) => work.account(id).eventSeq,
        sessionsOf: (id) => work.account(id).openSessions ?? Number.POSITIVE_INFINITY,
      });
    });
    return [viewOf(definition, row, next), ...opened];
  }

  /** A new flow with its first event. */
  function start(
    definition: Definition,
    id: string,
    event: EventObject,
    work: Work,
    tokenTtlMs = OPENED_TOKEN_TTL_MS,
  ): FlowView[] {
    const { context, changes } = work;
    const snapshot = idleOf(definition.machine);
    const token = keyring.flowTokenFor(id, context.now);
    const row: FlowRow = {
      id,
      machine: definition.id,
      machineVersion: definition.version,
      version: 0,
      state: 'idle',
      status: 'active',
      snapshot: { value: snapshot.value, context: snapshot.context, status: snapshot.status },
      accountId: null,
      contactId: null,
      tokenHash: hashToken(token),
      tokenGeneration: context.now,
      tokenExpiresAt: new Date(context.now + tokenTtlMs),
      createdAt: changes.now,
      updatedAt: changes.now,
      stateEnteredAt: changes.now,
      nextDueAt: null,
    };
    if (!snapshot.can(event)) throw refused(viewOf(definition, row, snapshot), event.type, context.now);
    return advance(definition, { row, snapshot, isNew: true }, event, work);
  }

  return { advance, start };
}

/** Snapshots are immutable, so one idle snapshot per machine serves every flow. */
const idle = new WeakMap<AnyStateMachine, AnyMachineSnapshot>();
function idleOf(machine: AnyStateMachine): AnyMachineSnapshot {
  let snapshot = idle.get(machine);
  if (!snapshot) {
    [snapshot] = initialTransition(machine) as [AnyMachineSnapshot, unknown];
    idle.set(machine, snapshot);
  }
  return snapshot;
}

/** A flow opened by another one's step gets a token that outlives its shortest rest. */
const OPENED_TOKEN_TTL_MS = 15 * 60_000;
