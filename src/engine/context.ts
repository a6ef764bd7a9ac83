/** What every step is taken in, and what the taker gets to see of it. */
import type { LoadedFlow } from '../../db/flows.ts';
import type { KeyedRun } from './keyed-run.ts';
import type { Envelope } from './records.ts';
import type { FlowView } from './snapshots.ts';

/** One clock reading, who asks, from which device, and under which idempotency key. */
export type SendContext = {
  now: number;
  envelope: Envelope;
  deviceId: string | null;
  idempotency?: KeyedRun | null;
};

/** A step that was taken. */
export type Result = {
  flow: FlowView;
  /** Flows this step opened, in order. */
  opened: FlowView[];
  /** What the decision was taken on; null when the flow was opened by it. */
  loaded: LoadedFlow | null;
  /** How many sessions the step ended. */
  sessionsEnded: number;
};
