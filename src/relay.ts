/** Delivers the outbox and fires due timers, at least once each. The only caller of ports; it decides nothing. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Outbox, OutboxItem } from '../db/outbox.ts';
import type { Clock } from './clock.ts';
import { DeliveryError } from './ports/index.ts';

export type TopicHandler = (item: OutboxItem) => Promise<void>;

export type RelayLog = {
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
};

export type Relay = {
  start(): void;
  /** Work may be waiting: look now instead of at the next tick. Does nothing before `start`: then only `drain` delivers. */
  nudge(): void;
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
const MAX_ATTEMPTS = 10;
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 600_000;

/** Exponential with full jitter, so that a provider coming back is not stormed. */
const backoff = (attempts: number): number =>
  Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2);

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
  async function handle(item: OutboxItem): Promise<Error | null> {
    try {
      const handler = handlers[item.topic];
      if (!handler) throw new DeliveryError(`no handler for ${item.topic}`, false);
      await handler(item);
      return null;
    } catch (error) {
      return error instanceof Error ? error : new Error('unknown');
    }
  }

  async function deliver(item: OutboxItem): Promise<void> {
    const failure = await handle(item);
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

  /** What could not be written down is delivered again when its lease ends. */
  function take(item: OutboxItem): void {
    const delivery = deliver(item)
      .catch((error) => log.error({ id: item.id, reason: (error as Error).message }, 'outcome not stored'))
      .finally(() => busy.delete(delivery));
    busy.add(delivery);
  }

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
