/** The newest steps of this process for an inspector: bounded, in order, replayed to whoever joins. Stores nothing. */
import type { ServerResponse } from 'node:http';
import type { StepRow } from '../../../db/commit.ts';
import { isMachineId } from '../../../machines/index.ts';
import { Problem } from '../../kernel/problems.ts';
import { actorMessage, type Message, stepMessages } from './messages.ts';

const RING = 500;
const MAX_CLIENTS = 10;
const MAX_BUFFERED = 1024 * 1024;
const MAX_KNOWN = 5000;

type Entry = { seq: number; step: StepRow; message: Message };
type Client = { raw: ServerResponse; known: Set<string> };

export type InspectorFeed = ReturnType<typeof createInspectorFeed>;

export function createInspectorFeed() {
  const ring: Entry[] = [];
  const clients = new Set<Client>();
  let seq = 0;

  /** A viewer knows a flow only once it was introduced. */
  function send(client: Client, entries: Entry[]): void {
    const text = entries.map(({ seq, step, message }) => {
      const introduction = client.known.has(step.flowId) ? '' : frame(null, actorMessage(step));
      if (client.known.size >= MAX_KNOWN) client.known.clear();
      client.known.add(step.flowId);
      return introduction + frame(seq, message);
    });
    if (client.raw.writableLength > MAX_BUFFERED) client.raw.destroy();
    else client.raw.write(text.join(''));
  }

  return {
    committed(steps: StepRow[]): void {
      const fresh = steps
        .filter((step) => isMachineId(step.machine))
        .flatMap((step) => stepMessages(step).map((message) => ({ seq: ++seq, step, message })));
      ring.push(...fresh);
      ring.splice(0, Math.max(0, ring.length - RING));
      if (fresh.length) for (const client of clients) send(client, fresh);
    },
    /** @throws Problem overloaded */
    room(): void {
      if (clients.size >= MAX_CLIENTS) throw new Problem('overloaded', { retryAfter: 10 });
    },
    /** `after`: what the reader has seen already; numbers of an earlier process mean nothing here. */
    join(raw: ServerResponse, after: number): void {
      const client = { raw, known: new Set<string>() };
      clients.add(client);
      raw.on('close', () => clients.delete(client));
      send(
        client,
        ring.filter((entry) => entry.seq > (after > seq ? 0 : after)),
      );
    },
    close(): void {
      for (const { raw } of clients) raw.destroy();
    },
  };
}

const frame = (id: number | null, message: Message): string =>
  `${id === null ? '' : `id: ${id}\n`}data: ${JSON.stringify(message)}\n\n`;
