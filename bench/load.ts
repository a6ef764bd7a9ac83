/** The load, in a process of its own: a closed loop with a fixed number of requests in flight. Driven over IPC. */
import { Connection } from './http-client.ts';
import { type Operation, operationsFor, type Target } from './operations.ts';

export type Command = {
  operation: string;
  target: Target;
  inFlight: number;
  seconds: number;
  prepare: number;
};
export type Outcome = { count: number; seconds: number; p50: number; p99: number; errors: string[] };
export type Reply = { prepared: true } | { outcome: Outcome } | { failure: string };

const known = new Map<string, { operations: Record<string, Operation>; connections: Connection[] }>();

function sideOf(target: Target, inFlight: number) {
  let side = known.get(target.url);
  if (!side) {
    side = { operations: operationsFor(target), connections: [] };
    known.set(target.url, side);
  }
  while (side.connections.length < inFlight) side.connections.push(new Connection(new URL(target.url)));
  return side;
}

async function measure(operation: Operation, connections: Connection[], seconds: number): Promise<Outcome> {
  const times: number[] = [];
  const errors: string[] = [];
  const started = performance.now();
  const end = started + seconds * 1000;
  await Promise.all(
    connections.map(async (connection) => {
      while (performance.now() < end && (operation.ready?.() ?? true)) {
        const from = performance.now();
        await operation.run(connection).then(
          () => times.push(performance.now() - from),
          (error: Error) => errors.push(error.message),
        );
        // Everything fails: there is nothing to measure.
        if (errors.length > 100 && times.length === 0) return;
      }
    }),
  );
  times.sort((a, b) => a - b);
  const at = (q: number) => times[Math.min(times.length - 1, Math.floor(times.length * q))] ?? 0;
  return {
    count: times.length,
    seconds: (performance.now() - started) / 1000,
    p50: at(0.5),
    p99: at(0.99),
    errors,
  };
}

const reply = (message: Reply) => process.send?.(message);
/** Prepares, waits for `go`, measures: so that the caller can read the counters in between. */
process.on('message', async (message: Command | 'go') => {
  if (message === 'go') return;
  try {
    const { connections, operations } = sideOf(message.target, message.inFlight);
    const operation = operations[message.operation];
    if (!operation) throw new Error(`unknown operation ${message.operation}`);
    const used = connections.slice(0, message.inFlight);
    await operation.prepare?.(used, message.prepare);
    const go = new Promise((resolve) => process.once('message', resolve));
    reply({ prepared: true });
    await go;
    reply({ outcome: await measure(operation, used, message.seconds) });
  } catch (error) {
    reply({ failure: (error as Error).message });
  }
});
