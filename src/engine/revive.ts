/** The stored snapshot as the machine knows it. One that does not parse is repaired, or takes its flow out of circulation. */
import type { AnyMachineSnapshot } from 'xstate';
import type { FlowRow } from '../../db/commit.ts';
import type { FlowStore, LoadedFlow } from '../../db/flows.ts';
import type { Definition } from '../../machines/index.ts';
import { Problem } from '../kernel/problems.ts';
import type { SendContext } from './context.ts';
import { Rejection } from './refusals.ts';
import { type RepairFlow, repairable } from './repair.ts';
import { restore, viewOf } from './snapshots.ts';

export const createRevive =
  (deps: {
    flows: Pick<FlowStore, 'quarantine'>;
    repair: RepairFlow;
    onQuarantine: (flowId: string, error: unknown) => void;
  }) =>
  /** @throws Problem flow_needs_restart */
  (definition: Definition, loaded: LoadedFlow, context: SendContext): AnyMachineSnapshot => {
    const { flow, account } = loaded;
    const needsRestart = (cause?: unknown) => new Problem('flow_needs_restart', {}, { cause });
    const unreadable = (cause?: unknown) =>
      new Rejection(needsRestart(cause), () =>
        repairable(definition, loaded)
          ? deps.repair(definition, loaded, context)
          : deps.flows.quarantine(flow.id, flow.version),
      );
    if (flow.status === 'quarantined') throw unreadable();
    const restored = restore(definition, flow.machineVersion, flow.snapshot);
    if (!restored.ok) {
      deps.onQuarantine(flow.id, restored.error);
      // A newer build wrote it: leave it to that build.
      if (restored.newer) throw needsRestart(restored.error);
      throw unreadable(restored.error);
    }
    const { tier } = viewOf(definition, flow as FlowRow, restored.snapshot);
    if (tier !== null && account && account.id === flow.accountId && account.tier !== tier) {
      // The column decides what a person may do; a snapshot that says otherwise must not move it.
      const error = new Error(`the snapshot says ${tier}, the account ${account.tier}`);
      deps.onQuarantine(flow.id, error);
      throw needsRestart(error);
    }
    return restored.snapshot;
  };
