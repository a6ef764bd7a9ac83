/**
 * Repairs a flow whose stored snapshot is lost, in one commit with its audit row: of several that try at once, one does.
 * Where the flow stands then is the machine's to say; the tier of the account never moves.
 */
import type { Database } from '../../db/client.ts';
import { commit, type FlowRow, newChangeSet } from '../../db/commit.ts';
import { VersionConflict } from '../../db/driver/conflicts.ts';
import type { LoadedFlow } from '../../db/flows.ts';
import { repairFacts, withdraw } from '../../db/repairs.ts';
import type { Definition } from '../../machines/index.ts';
import type { SendContext } from './context.ts';
import type { EffectContext, EffectHandlers } from './effects.ts';
import { auditRow } from './records.ts';
import { step } from './step-row.ts';

export type RepairFlow = ReturnType<typeof createRepair>;

/** Whether the flow can be repaired at all: an account that is not active keeps what it has until it is. */
export const repairable = (definition: Definition, { flow, account }: LoadedFlow): boolean =>
  definition.repair !== undefined &&
  (flow.status === 'active' || (flow.status === 'quarantined' && account?.tier === 'LIMITED')) &&
  (flow.accountId === null || (account?.id === flow.accountId && account.status === 'active'));

export const createRepair =
  ({ db, handlers }: { db: Database; handlers: EffectHandlers }) =>
  /** @throws VersionConflict when the flow can be read again, by this repair or by another one: decide anew */
  async (
    definition: Definition,
    { flow, account, contact }: LoadedFlow,
    context: SendContext,
  ): Promise<void> => {
    const own = account && account.id === flow.accountId ? account : null;
    const repair = definition.repair!({
      contactId: flow.contactId ?? '',
      entry: contact?.type === 'email' ? 'email' : 'phone',
      account: own && { id: own.id, tier: own.tier, ...(await repairFacts(db, own.id)) },
    });
    const envelope = { ...context.envelope, actor: 'system' as const };
    // Not the effect of the request that met the flow: its own key stays free.
    const changes = newChangeSet(new Date(context.now));
    const at = changes.now;
    const row = { ...flow } as FlowRow;
    // Holds the account at the tier it was read with.
    if (own)
      changes.accounts.set(own.id, {
        insert: null,
        patch: {},
        expectedSeq: own.eventSeq,
        expectedStatus: own.status,
        events: 0,
      });
    if (repair.kind === 'resume') {
      Object.assign(row, {
        machineVersion: definition.version,
        version: flow.version + 1,
        state: repair.state,
        status: 'active',
        snapshot: repair.snapshot,
        updatedAt: at,
        stateEnteredAt: at,
        nextDueAt: null,
      });
      changes.flows.push({
        row,
        expectedVersion: flow.version,
        expectedStatus: flow.status as 'active' | 'quarantined',
      });
      const { state } = repair;
      const system = { ...context, envelope };
      changes.steps.push(
        step(definition, row, system, 'REPAIRED', [], flow.state, state, repair.snapshot.context),
      );
    } else {
      changes.before.push(withdraw(flow.id, flow.version));
      if (repair.kind === 'anew' && own) {
        const effect: EffectContext = {
          id: `${flow.id}:${flow.version}:repair`,
          at: context.now,
          flow: row,
          flowId: flow.id,
          envelope,
          enclosures: {},
          changes,
          seqOf: () => own.eventSeq,
          sessionsOf: () => Number.POSITIVE_INFINITY,
        };
        handlers.releasePreUser({ accountId: own.id, contactId: flow.contactId ?? '' }, effect);
      }
    }
    const data = { repair: repair.kind, tier: own?.tier ?? null, from: flow.state };
    changes.audit.push(
      auditRow(
        { type: 'flow.repaired', accountId: own?.id ?? null, reason: 'snapshot_unreadable', data },
        { envelope, at, flowId: flow.id },
      ),
    );
    await commit(db.writes, changes);
    if (repair.kind === 'resume') throw new VersionConflict();
  };
