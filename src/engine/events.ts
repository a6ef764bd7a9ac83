/** Publishes committed events to Redis Streams: one stream per type and one of all, bounded, at least once by stable id. */
import { setTimeout as delay } from 'node:timers/promises';
import type { Result } from 'ioredis';
import type { OutboxItem } from '../../db/outbox.ts';
import type { RedisStore } from '../adapters/redis.ts';
import type { TopicHandler } from './delivery.ts';

type PublishedEvent = {
  id: string;
  type: string;
  accountId: string | null;
  payload: object;
  at: Date;
};

/** Entries kept per stream, approximately. */
const MAX_ENTRIES = 100_000;

/** What gathers for this long travels as one command. */
const GATHER_MS = 3;

/** KEYS: a stream of one type and the one of all, per event. ARGV: entries to keep, then five values per event. */
const PUBLISH = `
for i = 1, #KEYS do
  local at = 2 + math.floor((i - 1) / 2) * 5
  redis.call('XADD', KEYS[i], 'MAXLEN', '~', ARGV[1], '*', 'event_id', ARGV[at], 'event_type', ARGV[at + 1],
    'timestamp', ARGV[at + 2], 'subject', ARGV[at + 3], 'data', ARGV[at + 4])
end`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    publishEvents(keyCount: number, ...keysAndArguments: (string | number)[]): Result<null, Context>;
  }
}

/** Without Redis there are no consumers: the outbox row is the record. Events of one call appear in order, or none does. */
function createEventPublisher(redis: RedisStore | null): (events: PublishedEvent[]) => Promise<void> {
  if (!redis) return async () => {};
  redis.client.defineCommand('publishEvents', { lua: PUBLISH });
  let gathered: PublishedEvent[] = [];
  let flush: Promise<void> | null = null;

  const send = async (): Promise<void> => {
    const events = gathered;
    gathered = [];
    flush = null;
    const keys = events.flatMap(({ type }) => [`events:${type}`, 'events']);
    const values = events.flatMap(({ id, type, at, accountId, payload }) => [
      id,
      type,
      at.toISOString(),
      accountId === null ? '' : `user:${accountId}`,
      JSON.stringify(payload),
    ]);
    await redis.run((client) => client.publishEvents(keys.length, ...keys, MAX_ENTRIES, ...values));
  };

  return (events) => {
    gathered.push(...events);
    flush ??= delay(GATHER_MS).then(send);
    return flush;
  };
}

const eventOf = ({ id, accountId, payload, createdAt }: OutboxItem): PublishedEvent => ({
  id,
  type: (payload as { type: string }).type,
  accountId,
  payload,
  at: createdAt,
});

/** The relay's handler of the topic `event`: one account's events in order, several at once. */
export function eventDelivery(redis: RedisStore | null): TopicHandler {
  const publish = createEventPublisher(redis);
  return Object.assign(async (item: OutboxItem) => publish([eventOf(item)]), {
    many: (items: OutboxItem[]) => publish(items.map(eventOf)),
  });
}
