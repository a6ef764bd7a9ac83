/**
 * Shows again what a committed step led to, for a keyed request whose answer was lost. It sends and writes nothing, and
 * shows nothing that could be of use to a caller whose rights have ended since.
 */
import type { Database } from '../../db/client.ts';
import { type CommittedStep, committedSteps } from '../../db/committed-steps.ts';
import type { FlowStore } from '../../db/flows.ts';
import { type MachineId, registry } from '../../machines/index.ts';
import type { Result, SendContext } from './context.ts';
import { answerLost, settled } from './keyed-run.ts';
import { type FlowView, restore, viewOf } from './snapshots.ts';

/** `a.b` as XState writes it: `{a: 'b'}`. */
const stateValue = (path: string): unknown => {
  const [head = '', ...rest] = path.split('.');
  return rest.length ? { [head]: stateValue(rest.join('.')) } : head;
};

/** The flow as the step left it. @throws Problem idempotency_answer_lost when it must not or cannot be shown any more */
function viewAfter(step: CommittedStep): FlowView {
  const definition = registry[step.machine as MachineId];
  const granted = step.tokenGeneration ?? 0;
  // The holder of a newer token has proven more than this caller.
  if (granted > step.at.getTime() || step.sessionOver || step.status === 'quarantined') throw answerLost();
  if (step.accountStatus === 'blocked' || step.accountStatus === 'deleted') throw answerLost();
  const value = stateValue(step.toState);
  const ended = definition.machine.root.states[step.toState]?.type === 'final';
  const stored = { value, context: step.context, status: ended ? 'done' : 'active' };
  const restored = restore(definition, step.machineVersion, stored);
  if (!restored.ok) throw answerLost(restored.error);
  const { flowId: id, seq: version, tokenGeneration, tokenExpiresAt } = step;
  const stateEnteredAt = step.version === version ? step.stateEnteredAt : step.at;
  return viewOf(
    definition,
    { id, version, stateEnteredAt, tokenGeneration, tokenExpiresAt },
    restored.snapshot,
  );
}

export const createReplay =
  ({ db, flows }: { db: Database; flows: Pick<FlowStore, 'byId'> }) =>
  /** Null unless an earlier run of this request has committed. */
  async (machineId: MachineId, context: SendContext): Promise<Result | null> => {
    const ids = context.idempotency?.committed ?? null;
    if (ids === null) return null;
    const now = new Date(context.now);
    const steps = await committedSteps(db, ids, now);
    const [flow, ...opened] = steps.map(viewAfter);
    if (!flow || steps.length !== ids.length || flow.machine !== machineId) throw answerLost();
    const loaded = (await flows.byId(flow.id, { deviceId: context.deviceId, now })) ?? null;
    settled(context);
    return { flow, opened, loaded, sessionsEnded: steps[0]?.sessionsEnded ?? 0 };
  };
