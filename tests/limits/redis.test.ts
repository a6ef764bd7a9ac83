/** Redis away, stuck or back: commands fail fast with one error type, and nothing crashes or queues up. */
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { connectRedis, type RedisStore, StoreUnavailable } from '../../src/adapters/redis.ts';
import { eventually, hasRedisServer, type PrivateRedis, privateRedis } from './redis-server.ts';

describe.skipIf(!hasRedisServer)('connectRedis (needs redis-server)', () => {
  let server: PrivateRedis;
  let redis: RedisStore;
  let lines: string[];
  const log = {
    warn: (_: object, message: string) => void lines.push(message),
    info: (_: object, message: string) => void lines.push(message),
  };
  const ping = () => redis.run((client) => client.echo('x'));
  /** The error of a command that fails before the event loop waits for anything. */
  const failure = async (): Promise<unknown> => {
    let error: unknown = 'still waiting';
    ping().catch((cause) => {
      error = cause;
    });
    await turn();
    return error;
  };

  beforeEach(async () => {
    lines = [];
    server = await privateRedis();
  });
  afterEach(async () => {
    redis.close();
    server.thaw();
    await server.stop();
  });

  it('starts without Redis, fails at once, warns once, and connects by itself later', async () => {
    redis = connectRedis(server.url, { log });
    expect(await redis.ready(300)).toBe(false);
    expect(await failure()).toBeInstanceOf(StoreUnavailable);
    expect(redis.health().up).toBe(false);
    expect(lines).toEqual(['redis is not reachable']);
    await server.start();
    expect(await redis.ready(5000)).toBe(true);
    expect(await eventually(() => ping().catch(() => null))).toBe('x');
    expect(lines).toEqual(['redis is not reachable', 'redis is back']);
  });

  it('loses patience with a frozen server, then fails at once, and goes on when it thaws', async () => {
    await server.start();
    redis = connectRedis(server.url, { log });
    await redis.ready(5000);
    server.freeze();
    const first = await Promise.allSettled(Array.from({ length: 20 }, ping));
    expect(first).toEqual(
      Array(20).fill({ status: 'rejected', reason: new StoreUnavailable('no answer within 400 ms') }),
    );
    const paused = await failure();
    expect(paused).toBeInstanceOf(StoreUnavailable);
    expect((paused as Error).message).toContain('not answering');
    server.thaw();
    expect(await eventually(() => ping().catch(() => null))).toBe('x');
  });

  it('says of a frozen server that it does not answer, and nothing any more once it thaws', async () => {
    await server.start();
    redis = connectRedis(server.url, { log });
    await redis.ready(5000);
    server.freeze();
    expect(await eventually(() => redis.health().refuses, 8000)).toMatch(/no answer/);
    server.thaw();
    await eventually(() => redis.health().refuses === null, 8000);
    expect(lines).toEqual(['redis takes no writes', 'redis takes writes again']);
  });

  it('survives a restart of the server between two commands', async () => {
    await server.start();
    redis = connectRedis(server.url, { log });
    await redis.ready(5000);
    await server.stop();
    await expect(ping()).rejects.toThrow(StoreUnavailable);
    await server.start();
    expect(await eventually(() => ping().catch(() => null))).toBe('x');
  });

  it('warns when Redis may evict counters, and stays quiet when it may not', async () => {
    await server.start('--maxmemory', '64mb', '--maxmemory-policy', 'allkeys-lru');
    redis = connectRedis(server.url, { log });
    await eventually(() => redis.health().evicting);
    expect(lines).toEqual(['redis may evict rate-limit counters: set maxmemory-policy noeviction']);
    redis.close();
    await server.stop();

    lines = [];
    await server.start();
    redis = connectRedis(server.url, { log });
    await redis.ready(5000);
    await ping();
    expect(redis.health()).toEqual({ up: true, evicting: false, refuses: null });
    expect(lines).toEqual([]);
  });

  it('carries no command argument in its errors', async () => {
    await server.start();
    redis = connectRedis(server.url, { log });
    await redis.ready(5000);
    await redis.run((client) => client.set('key', 'word'));
    const error = await redis.run((client) => client.rpush('key', 'hush-hush')).catch((cause) => cause);
    expect(error).toBeInstanceOf(StoreUnavailable);
    expect(JSON.stringify({ ...error, message: error.message, cause: error.cause })).not.toContain(
      'hush-hush',
    );
  });
});
