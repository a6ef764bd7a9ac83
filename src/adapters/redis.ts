/**
 * The one way to reach Redis: settings under which every command fails within 400 ms instead of queueing,
 * and one error type for all of it. Must never hold back a request or crash the process when Redis is away.
 */
import { Redis } from 'ioredis';
import { createBreaker, StoreUnavailable, within } from './breaker.ts';

export { StoreUnavailable };

export type RedisLog = {
  warn(details: object, message: string): void;
  info(details: object, message: string): void;
};

export type RedisHealth = {
  up: boolean;
  /** Redis may drop keys under memory pressure, so counters are not safe there. */
  evicting: boolean;
  /** Why it takes no writes, in its own words where it answers; null while it takes them. */
  refuses: string | null;
};

export type RedisStore = {
  /** The connection itself; its errors are plain and untranslated. Blocking reads need `client.duplicate()`. */
  client: Redis;
  /** @throws StoreUnavailable for every failure, within 400 ms, and at once while Redis is known to be away. */
  run<T>(operation: (client: Redis) => Promise<T>): Promise<T>;
  /** Waits until commands are accepted; false when that takes longer than `timeoutMs`. Never throws. */
  ready(timeoutMs: number): Promise<boolean>;
  health(): RedisHealth;
  /** Whether this is a node of a cluster, as far as it says; false while it is away. */
  isCluster(): Promise<boolean>;
  close(): void;
};

/** How often a write is tried and how long its answer may take: what readiness says is at most twice as old. */
const PROBE_EVERY_MS = 2000;
const PROBE_KEY = 'vestibule:limit:probe';
const RECONNECT_EVERY_MS = 1000;
/** A node of a cluster, where the keys of one script lie on several servers. */
export const CLUSTER =
  'leads to a Redis cluster, which would spread the counters of one request over several servers: use one primary with replicas';

/** Connects in the background and reconnects for ever; returns before the connection stands. */
export function connectRedis(url: string, { log }: { log: RedisLog }): RedisStore {
  let reconnected = Number.NEGATIVE_INFINITY;
  const client = new Redis(url, {
    enableOfflineQueue: false,
    maxRetriesPerRequest: 1,
    connectTimeout: 1000,
    retryStrategy: (attempt) => Math.min(attempt * 100, 1000),
    // After a failover the address leads to the new primary, while this connection still leads to the old one.
    reconnectOnError: (error) => {
      if (!error.message.includes('READONLY') || performance.now() - reconnected < RECONNECT_EVERY_MS)
        return false;
      reconnected = performance.now();
      return true;
    },
  });
  // A pipeline waits for the one before it, so a command can wait longer than its own 300 ms.
  const breaker = createBreaker({ patienceMs: 400 });
  let evicting = false;
  let reported = false;
  let refuses: string | null = null;

  /** Only a write shows a replica, a full memory, missing replicas or rights; only its answer shows a server that hangs. */
  async function probe(): Promise<void> {
    if (client.status !== 'ready') return;
    const before = refuses;
    try {
      await within(PROBE_EVERY_MS, () => client.set(PROBE_KEY, '1', 'PX', PROBE_EVERY_MS * 5));
      refuses = null;
    } catch (error) {
      refuses = (error as Error).message.slice(0, 200);
    }
    if (refuses !== null && refuses !== before) log.warn({ reason: refuses }, 'redis takes no writes');
    if (refuses === null && before !== null) log.info({}, 'redis takes writes again');
  }
  const probing = setInterval(() => void probe(), PROBE_EVERY_MS);
  probing.unref();

  client.on('error', (error: Error) => {
    if (reported) return;
    reported = true;
    log.warn({ reason: error.message }, 'redis is not reachable');
  });
  client.on('ready', () => {
    if (reported) log.info({}, 'redis is back');
    reported = false;
    void probe();
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
    health: () => ({ up: client.status === 'ready', evicting, refuses }),
    isCluster: () =>
      client.info('cluster').then(
        (info) => /^cluster_enabled:1/m.test(info),
        () => false,
      ),
    close: () => {
      clearInterval(probing);
      client.disconnect();
    },
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
