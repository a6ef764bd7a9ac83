/** Delivers the outbox and fires due timers, at least once each. The only caller of ports; it decides nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import type { OutboxRow } from '../db/commit.ts';
import type { Outbox, OutboxItem } from '../db/outbox.ts';
import type { Clock } from './clock.ts';
import { DeliveryError } from './ports/index.ts';

/** Handles one item, or, where a topic can, several of one account at once: all of them in order, or none. */
export type TopicHandler = ((item: OutboxItem) => Promise<void>) & {
  many?: (items: OutboxItem[]) => Promise<void>;
};

export type RelayLog = {
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
};

export type Relay = {
  start(): void;
  /** Work may be waiting: look now instead of at the next tick. Does nothing before `start`: then only `drain` delivers. */
  nudge(): void;
  /** Until when rows written now may be leased by the writer, who then hands them to `accept`; null while they may not. */
  lease(): Date | null;
  /** Rows that a commit of this process has leased as it wrote them: delivered at once, without a claim. */
  accept(rows: OutboxRow[]): void;
  /** Delivers what is due, until nothing is; for tests and tools. */
  drain(): Promise<void>;
  /** Stops claiming and waits for what is under way. */
  stop(): Promise<void>;
};

const BATCH = 50;
const TICK_MS = 500;
/** A delivery slower than this no longer keeps others waiting. */
const PATIENCE_MS = 100;
/** In the background a round gathers rows for this long first, so that a claim is paid for by many of them. */
const GATHER_MS = 10;
/** Longer than any port takes; after a crash others take over this late. */
const LEASE_MS = 15_000;
/** With so much under way, rows are better left to any replica that has room. */
const MAX_LEASED = 200;
const MAX_ATTEMPTS = 10;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 600_000;

/** Exponential with full jitter, so that a provider coming back is not stormed. */
const backoff = (attempts: number): number =>
  Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2);

/** As a claim would have read it. */
const itemOf = ({ id, topic, accountId, accountSeq, flowId, payload, createdAt }: OutboxRow): OutboxItem => ({
  id,
  topic,
  accountId: accountId ?? null,
  accountSeq: accountSeq ?? null,
  flowId: flowId ?? null,
  payload,
  attempts: 1,
  createdAt,
});

export function createRelay(deps: {
  outbox: Outbox;
  clock: Clock;
  handlers: Record<string, TopicHandler>;
  /** Fires due timers; called every tick. */
  sweep: () => Promise<void>;
  log: RelayLog;
}): Relay {
  const { outbox, clock, handlers, sweep, log } = deps;
  const busy = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> | null = null;
  let sweeping: Promise<void> | null = null;
  let again = false;
  let stopped = false;

  const now = () => new Date(clock.now());

  /** Runs the handler; what went wrong, or null. */
  async function handle(items: OutboxItem[]): Promise<Error | null> {
    const [first] = items as [OutboxItem];
    try {
      const handler = handlers[first.topic];
      if (!handler) throw new DeliveryError(`no handler for ${first.topic}`, false);
      await (items.length > 1 && handler.many ? handler.many(items) : handler(first));
      return null;
    } catch (error) {
      return error instanceof Error ? error : new Error('unknown');
    }
  }

  const deliver = async (item: OutboxItem): Promise<void> => conclude(item, await handle([item]));

  async function conclude(item: OutboxItem, failure: Error | null): Promise<void> {
    if (!failure) return outbox.done(item, now());
    const reason = failure.message.slice(0, 200);
    const dead = (failure instanceof DeliveryError && !failure.retry) || item.attempts >= MAX_ATTEMPTS;
    const details = { id: item.id, topic: item.topic, attempts: item.attempts, reason };
    if (dead) log.error(details, 'delivery given up');
    else log.warn(details, 'delivery failed');
    return dead
      ? outbox.dead(item, reason, now())
      : outbox.retry(item, reason, new Date(clock.now() + backoff(item.attempts)));
  }

  /** Leased rows of one account: as one batch where the topic allows it; when one fails, those after it wait like any other. */
  async function deliverInOrder(items: OutboxItem[]): Promise<void> {
    let rest = items;
    while (rest.length > 0) {
      const [first] = rest as [OutboxItem];
      const next = handlers[first.topic]?.many ? rest.findIndex((item) => item.topic !== first.topic) : 1;
      const batch = rest.slice(0, next === -1 ? rest.length : next);
      const failure = await handle(batch);
      rest = rest.slice(batch.length);
      if (failure) {
        await conclude(first, failure);
        await outbox.release([...batch.slice(1), ...rest]);
        return;
      }
      await Promise.all(batch.map((item) => conclude(item, null)));
    }
  }

  /** What could not be written down is delivered again when its lease ends. */
  function follow(work: Promise<void>, { id }: OutboxItem): void {
    const delivery = work
      .catch((error) => log.error({ id, reason: (error as Error).message }, 'outcome not stored'))
      .finally(() => busy.delete(delivery));
    busy.add(delivery);
  }
  const take = (item: OutboxItem) => follow(deliver(item), item);

  async function run(gathers: boolean): Promise<void> {
    do {
      again = false;
      while (!stopped) {
        if (gathers) await delay(GATHER_MS);
        const room = BATCH - busy.size;
        const items = room > 0 ? await outbox.claim(now(), room) : [];
        items.forEach(take);
        if (busy.size === 0) break;
        const timeout = new AbortController();
        await Promise.race([
          Promise.all(busy),
          delay(PATIENCE_MS, undefined, { signal: timeout.signal }).catch(() => {}),
        ]);
        timeout.abort();
      }
    } while (again && !stopped);
    await Promise.all(busy);
  }

  /** The database may be away: the next tick tries again. */
  const failed = (error: unknown) => log.error({ reason: (error as Error).message }, 'relay round failed');

  function once(gathers: boolean): Promise<void> {
    if (running) {
      again = true;
      return running;
    }
    running = run(gathers)
      .catch(failed)
      .finally(() => {
        running = null;
      });
    return running;
  }

  function sweepOnce(): Promise<void> {
    sweeping ??= sweep()
      .catch(failed)
      .finally(() => {
        sweeping = null;
      });
    return sweeping;
  }

  const tick = () => {
    if (stopped) return;
    void sweepOnce();
    void once(true);
  };

  return {
    start() {
      timer = setInterval(tick, TICK_MS);
      timer.unref();
      tick();
    },
    lease: () => (timer && !stopped && busy.size < MAX_LEASED ? new Date(clock.now() + LEASE_MS) : null),
    accept(rows) {
      const items = rows.map((row) => itemOf(row));
      items.filter((item) => item.accountId === null).forEach(take);
      const ordered = items.filter((item) => item.accountId !== null);
      if (ordered[0]) follow(deliverInOrder(ordered), ordered[0]);
    },
    nudge: () => {
      if (timer && !stopped) void once(true);
    },
    async drain() {
      await sweepOnce();
      await once(false);
    },
    async stop() {
      stopped = true;
      if (timer) clearInterval(timer);
      await Promise.all([running, sweeping]);
      await Promise.all(busy);
    },
  };
}
