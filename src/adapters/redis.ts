/**
 * The one way to reach Redis: settings under which every command fails within 400 ms instead of queueing,
 * and one error type for all of it. Must never hold back a request or crash the process when Redis is away.
 */
import { Redis } from 'ioredis';
import { createBreaker, StoreUnavailable } from './breaker.ts';

export { StoreUnavailable };

export type RedisLog = {
  warn(details: object, message: string): void;
  info(details: object, message: string): void;
};

export type RedisHealth = {
  up: boolean;
  /** Redis may drop keys under memory pressure, so counters are not safe there. */
  evicting: boolean;
};

export type RedisStore = {
  /** The connection itself; its errors are plain and untranslated. Blocking reads need `client.duplicate()`. */
  client: Redis;
  /** @throws StoreUnavailable for every failure, within 400 ms, and at once while Redis is known to be away. */
  run<T>(operation: (client: Redis) => Promise<T>): Promise<T>;
  /** Waits until commands are accepted; false when that takes longer than `timeoutMs`. Never throws. */
  ready(timeoutMs: number): Promise<boolean>;
  health(): RedisHealth;
  close(): void;
};

/** Connects in the background and reconnects for ever; returns before the connection stands. */
export function connectRedis(url: string, { log }: { log: RedisLog }): RedisStore {
  const client = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    connectTimeout: 1000,
    retryStrategy: (attempt) => Math.min(attempt * 100, 1000),
  });
  // A pipeline waits for the one before it, so a command can wait longer than its own 300 ms.
  const breaker = createBreaker({ patienceMs: 400 });
  let evicting = false;
  let reported = false;

  client.on('error', (error: Error) => {
    if (reported) return;
    reported = true;
    log.warn({ reason: error.message }, 'redis is not reachable');
  });
  client.on('ready', () => {
    if (reported) log.info({}, 'redis is back');
    reported = false;
    readPolicy(client).then(
      (policy) => {
        evicting = policy !== 'noeviction';
        if (evicting)
          log.warn({ policy }, 'redis may evict rate-limit counters: set maxmemory-policy noeviction');
      },
      (error: Error) => log.warn({ reason: error.message }, 'redis eviction policy could not be read'),
    );
  });

  return {
    client,
    run: (operation) => breaker.run(() => operation(client)),
    ready: (timeoutMs) => untilReady(client, timeoutMs),
    health: () => ({ up: client.status === 'ready', evicting }),
    close: () => client.disconnect(),
  };
}

/** INFO, because managed Redis refuses CONFIG. */
async function readPolicy(client: Redis): Promise<string> {
  const info = await client.info('memory');
  return /^maxmemory_policy:(\S+)/m.exec(info)?.[1] ?? 'unknown';
}

function untilReady(client: Redis, timeoutMs: number): Promise<boolean> {
  if (client.status === 'ready') return Promise.resolve(true);
  return new Promise((resolve) => {
    const settle = (value: boolean) => {
      clearTimeout(timer);
      client.off('ready', onReady);
      resolve(value);
    };
    const onReady = () => settle(true);
    const timer = setTimeout(() => settle(false), timeoutMs);
    client.on('ready', onReady);
  });
}
