/** One row of the step log: every event a flow was sent, taken or refused. It never holds more than the machine's context. */
import type { FlowRow, StepRow } from '../../db/commit.ts';
import type { Definition } from '../../machines/index.ts';
import { uuidv7 } from '../kernel/crypto/uuid7.ts';
import type { SendContext } from './context.ts';

/** Where the event met the flow and where it left it. */
export function step(
  definition: Definition,
  row: Pick<FlowRow, 'id' | 'version'>,
  context: SendContext,
  event: string,
  edges: string[],
  fromState: string,
  toState: string,
  after: unknown,
): StepRow {
  return {
    id: uuidv7(),
    flowId: row.id,
    seq: row.version,
    machine: definition.id,
    machineVersion: definition.version,
    at: new Date(context.now),
    event,
    edges,
    fromState,
    toState,
    refused: false,
    reason: null,
    actor: context.envelope.actor,
    requestId: context.envelope.requestId,
    context: after as Record<string, unknown> | null,
  };
}
