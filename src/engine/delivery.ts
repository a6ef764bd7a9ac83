/** One delivery: the handler of its topic, and what came of it written down. It never decides when. */

import type { Outbox, OutboxItem } from '../../db/outbox.ts';
import { wordsOf } from '../../db/words.ts';
import { DeliveryError } from '../adapters/ports.ts';
import type { Clock } from '../kernel/clock.ts';

/** Handles one item, or, where a topic can, several of one account at once: all of them in order, or none. */
export type TopicHandler = ((item: OutboxItem) => Promise<void>) & {
  many?: (items: OutboxItem[]) => Promise<void>;
};

export type RelayLog = {
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
};

const MAX_ATTEMPTS = 10;
const HOUR_MS = 3_600_000;
/**
 * What still matters later is tried for so long, however often: a provider or Redis may be away for an afternoon. A code
 * ends by itself long before.
 */
const PATIENCE_MS: Record<string, number> = {
  event: 7 * 24 * HOUR_MS,
  'mail.send': 24 * HOUR_MS,
  'sms.send': 24 * HOUR_MS,
  'kyc.submit': 24 * HOUR_MS,
  'risk.evaluate': 24 * HOUR_MS,
};
const FIRST_RETRY_MS = 1000;
const LAST_RETRY_MS = 600_000;

/** Exponential with full jitter, so that a provider coming back is not stormed. */
const backoff = (attempts: number): number =>
  Math.min(LAST_RETRY_MS, FIRST_RETRY_MS * 2 ** (attempts - 1)) * (0.5 + Math.random() / 2);

/** Both throw when the outcome could not be stored. */
export type Delivery = {
  one(item: OutboxItem): Promise<void>;
  /** Leased rows of one account. When one fails, those after it wait like any other. */
  inOrder(items: OutboxItem[]): Promise<void>;
};

export function createDelivery(deps: {
  outbox: Outbox;
  clock: Clock;
  handlers: Record<string, TopicHandler>;
  log: RelayLog;
}): Delivery {
  const { outbox, clock, handlers, log } = deps;
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

  async function conclude(item: OutboxItem, failure: Error | null): Promise<void> {
    if (!failure) return outbox.done(item, now());
    // Adapters word their errors so that they can be shown; of all others only what Postgres or Node said.
    const reason = (failure instanceof DeliveryError ? failure.message : wordsOf(failure)).slice(0, 200);
    const age = clock.now() - item.createdAt.getTime();
    const exhausted = item.attempts >= MAX_ATTEMPTS && age >= (PATIENCE_MS[item.topic] ?? 0);
    const dead = (failure instanceof DeliveryError && !failure.retry) || exhausted;
    const details = { id: item.id, topic: item.topic, attempts: item.attempts, reason };
    if (dead) log.error(details, 'delivery given up');
    else log.warn(details, 'delivery failed');
    return dead
      ? outbox.dead(item, reason, now())
      : outbox.retry(item, reason, new Date(clock.now() + backoff(item.attempts)));
  }

  /** As one batch where the topic allows it. */
  async function inOrder(items: OutboxItem[]): Promise<void> {
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

  return { one: async (item) => conclude(item, await handle([item])), inOrder };
}
