/** Delivers the outbox and fires due timers, at least once each. The only caller of ports; it decides nothing. */
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
  /** Work may be waiting: look now instead of at the next tick. */
  nudge(): void;
  /** Delivers what is due, until nothing is; for tests and tools. */
  drain(): Promise<void>;
  /** Stops claiming and waits for what is under way. */
  stop(): Promise<void>;
};

const BATCH = 50;
const TICK_MS = 500;
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
  /** Fires due timers; called once per round. */
  sweep: () => Promise<void>;
  log: RelayLog;
}): Relay {
  const { outbox, clock, handlers, sweep, log } = deps;
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> | null = null;
  let again = false;
  let stopped = false;

  async function deliver(item: OutboxItem): Promise<void> {
    const handler = handlers[item.topic];
    try {
      if (!handler) throw new DeliveryError(`no handler for ${item.topic}`, false);
      await handler(item);
      await outbox.done(item.id, new Date(clock.now()));
    } catch (error) {
      const message = error instanceof Error ? error.message.slice(0, 200) : 'unknown';
      const final = error instanceof DeliveryError && !error.retry;
      log.warn(
        { id: item.id, topic: item.topic, attempts: item.attempts, final, reason: message },
        'delivery failed',
      );
      if (final || item.attempts >= MAX_ATTEMPTS) await outbox.dead(item.id, message, new Date(clock.now()));
      else await outbox.retry(item.id, message, new Date(clock.now() + backoff(item.attempts)));
    }
  }

  async function round(): Promise<number> {
    const items = await outbox.claim(new Date(clock.now()), BATCH);
    await Promise.all(items.map(deliver));
    return items.length;
  }

  async function run(): Promise<void> {
    do {
      again = false;
      await sweep();
      while (!stopped && (await round()) > 0);
    } while (again && !stopped);
  }

  function once(): Promise<void> {
    if (running) {
      again = true;
      return running;
    }
    running = run()
      // The database may be away: the next tick tries again.
      .catch((error) => log.error({ reason: (error as Error).message }, 'relay round failed'))
      .finally(() => {
        running = null;
      });
    return running;
  }

  return {
    start() {
      timer = setInterval(() => void once(), TICK_MS);
      timer.unref();
      void once();
    },
    nudge: () => {
      if (!stopped) void once();
    },
    drain: once,
    async stop() {
      stopped = true;
      if (timer) clearInterval(timer);
      await running;
    },
  };
}
