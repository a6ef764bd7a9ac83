/**
 * News of committed steps as server-sent events. Steps of this process are told at once; those of other replicas and
 * refused ones are found by looking, and only while somebody watches. What goes out is what the timeline shows, and less.
 */
import type { ServerResponse } from 'node:http';
import type { FastifyInstance } from 'fastify';
import type { StepRow } from '../../db/commit.ts';
import type { ReportStore, Step } from '../../db/reports.ts';
import { word } from '../engine/visible-context.ts';
import type { Clock } from '../kernel/clock.ts';
import { Problem } from '../kernel/problems.ts';
import type { Console } from './kit/context.ts';

const MAX_CLIENTS = 50;
const LOOK_MS = 150;
/** Ids are made just before a commit: one that commits this late is still found. */
const OVERLAP_MS = 2000;
const BATCH = 500;
const HEARTBEAT_MS = 5000;
/** A reader who does not read is let go, not buffered for. */
const MAX_BUFFERED = 256 * 1024;

type News = Pick<
  Step,
  | 'id'
  | 'flowId'
  | 'seq'
  | 'machine'
  | 'at'
  | 'event'
  | 'edges'
  | 'fromState'
  | 'toState'
  | 'refused'
  | 'actor'
>;

/** One line of news; allow-listed like everything the console shows. */
const frame = (n: News): string =>
  `event: step\ndata: ${JSON.stringify({
    id: n.id,
    flow: n.flowId,
    seq: n.seq,
    machine: word(n.machine),
    at: n.at.toISOString(),
    event: word(n.event),
    edges: n.edges,
    from: n.fromState,
    to: n.toState,
    refused: n.refused,
    actor: word(n.actor),
  })}\n\n`;

export type LiveFeed = ReturnType<typeof createLiveFeed>;

export function createLiveFeed(clock: Clock) {
  /** Each with the question whether it may still be told. */
  const clients = new Map<ServerResponse, () => Promise<boolean>>();
  const seen = new Map<string, number>();
  let store: ReportStore | null = null;
  let timers: NodeJS.Timeout[] = [];
  let looking = false;
  let since = '';

  const realNow = () => clock.now() - clock.offset();

  function send(text: string): void {
    for (const client of clients.keys()) {
      if (client.writableLength > MAX_BUFFERED) client.destroy();
      else client.write(text);
    }
  }

  function tell(news: News[]): void {
    const fresh = news.filter((n) => !seen.has(n.id));
    for (const n of fresh) seen.set(n.id, realNow());
    if (fresh.length) send(fresh.map(frame).join(''));
  }

  async function beat(): Promise<void> {
    for (const [client, mayWatch] of [...clients]) {
      // While the database is away there is no news to keep from anybody.
      if (!(await mayWatch().catch(() => true))) client.destroy();
    }
    send(': alive\n\n');
  }

  async function look(): Promise<void> {
    if (looking || !store) return;
    looking = true;
    try {
      const steps = await store.news(since, BATCH);
      tell(steps);
      const last = steps.at(-1);
      const horizon = idAt(realNow() - OVERLAP_MS);
      // More than fits: go on from there, or the page would stay in the past.
      if (steps.length === BATCH && last) since = last.id;
      else if (horizon > since) since = horizon;
      for (const [id, at] of seen) if (at < realNow() - 2 * OVERLAP_MS) seen.delete(id);
    } catch {
      // The database is away: the health strip says so, and the next look tries again.
    } finally {
      looking = false;
    }
  }

  function begin(): void {
    since = idAt(realNow());
    timers = [setInterval(() => void look(), LOOK_MS), setInterval(() => void beat(), HEARTBEAT_MS)];
    for (const timer of timers) timer.unref();
  }

  function end(): void {
    for (const timer of timers) clearInterval(timer);
    timers = [];
    seen.clear();
  }

  return {
    /** After a commit of this process. */
    committed(steps: StepRow[]): void {
      if (clients.size > 0) tell(steps as News[]);
    },
    attach(reads: ReportStore): void {
      store = reads;
    },
    /** @throws Problem overloaded */
    join(client: ServerResponse, mayWatch: () => Promise<boolean>): void {
      if (clients.size >= MAX_CLIENTS) throw new Problem('overloaded', { retryAfter: 10 });
      clients.set(client, mayWatch);
      if (clients.size === 1) begin();
      client.on('close', () => {
        clients.delete(client);
        if (clients.size === 0) end();
      });
    },
    full: () => clients.size >= MAX_CLIENTS,
    close(): void {
      for (const client of clients.keys()) client.destroy();
      end();
    },
  };
}

/** The smallest UUIDv7 of an instant: ids of steps begin with the time they were made. */
export const idAt = (ms: number): string =>
  Math.max(0, Math.floor(ms))
    .toString(16)
    .padStart(12, '0')
    .replace(/^(.{8})(.{4})$/, '$1-$2-7000-8000-000000000000');

export function liveRoute(app: FastifyInstance, { store, guard }: Console, feed: LiveFeed): void {
  feed.attach(store);
  // A stream never ends by itself: without this a server would wait for its readers for ever.
  app.addHook('preClose', async () => feed.close());
  app.get('/console/events', (request, reply) => {
    if (feed.full()) throw new Problem('overloaded', { retryAfter: 10 });
    reply.hijack();
    const { raw } = reply;
    const headers = reply.getHeaders() as Record<string, string>;
    raw.writeHead(200, { ...headers, 'content-type': 'text/event-stream', 'x-accel-buffering': 'no' });
    request.raw.socket.setTimeout(0);
    raw.write('retry: 1000\nevent: hello\ndata: {}\n\n');
    feed.join(raw, () => guard.stillSignedIn(request));
  });
}
