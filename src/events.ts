/** Publishes committed events to Redis Streams: one stream per type and one of all, bounded, at least once by stable id. */
import type { RedisStore } from './redis.ts';

export type PublishedEvent = {
  id: string;
  type: string;
  accountId: string | null;
  payload: object;
  at: Date;
};

/** Entries kept per stream, approximately. */
const MAX_ENTRIES = 100_000;

/** Without Redis there are no consumers: the outbox row is the record. */
export const createEventPublisher =
  (redis: RedisStore | null) =>
  async (event: PublishedEvent): Promise<void> => {
    if (!redis) return;
    const fields = [
      'event_id',
      event.id,
      'event_type',
      event.type,
      'timestamp',
      event.at.toISOString(),
      'subject',
      event.accountId === null ? '' : `user:${event.accountId}`,
      'data',
      JSON.stringify(event.payload),
    ];
    await redis.run((client) =>
      Promise.all([
        client.xadd(`events:${event.type}`, 'MAXLEN', '~', MAX_ENTRIES, '*', ...fields),
        client.xadd('events', 'MAXLEN', '~', MAX_ENTRIES, '*', ...fields),
      ]),
    );
  };
