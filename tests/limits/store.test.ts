/** The contract of a limit store, run on memory and on Redis alike. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type LimitRule,
  type LimitStore,
  memoryLimitStore,
  redisLimitStore,
} from '../../src/adapters/limits/store.ts';
import { connectRedis, type RedisStore, StoreUnavailable } from '../../src/adapters/redis.ts';
import { hasRedisServer, type PrivateRedis, privateRedis } from './redis-server.ts';

const NOW = 1_700_000_000_000;
const given = process.env.TEST_REDIS_URL ?? process.env.REDIS_URL;
const silent = { warn: () => {}, info: () => {} };

const rule = (over: Partial<LimitRule> = {}): LimitRule => ({
  name: 'rule',
  key: randomUUID(),
  limit: 3,
  windowMs: 10_000,
  onExceed: 'refuse',
  ...over,
});

/** `stores` gives two clients of the same counters. */
function contract(stores: () => [LimitStore, LimitStore]) {
  it('allows exactly the limit under 200 parallel calls over two clients in the same millisecond', async () => {
    const one = rule({ limit: 37 });
    const verdicts = await Promise.all(
      Array.from({ length: 200 }, (_, i) => stores()[i % 2]!.take([one], NOW)),
    );
    expect(verdicts.filter((verdict) => verdict.allowed)).toHaveLength(37);
  });

  it('refuses a burst over the edge of a window, because the window slides', async () => {
    const [store] = stores();
    const one = rule();
    for (let i = 0; i < 3; i++) expect(await store.take([one], NOW + 9_000)).toMatchObject({ allowed: true });
    expect(await store.take([one], NOW + 10_001)).toEqual({ allowed: false, rule: one, retryAfterMs: 8_999 });
    expect(await store.take([one], NOW + 18_999)).toEqual({ allowed: false, rule: one, retryAfterMs: 1 });
    expect(await store.take([one], NOW + 19_000)).toMatchObject({ allowed: true });
  });

  it('gives room back unit by unit, as each one leaves the window', async () => {
    const [store] = stores();
    const one = rule();
    for (const at of [0, 2_000, 4_000]) await store.take([one], NOW + at);
    expect(await store.take([one], NOW + 10_000)).toMatchObject({ allowed: true });
    expect(await store.take([one], NOW + 10_000)).toMatchObject({ allowed: false, retryAfterMs: 2_000 });
  });

  it('does not let refusals cost anything', async () => {
    const [store] = stores();
    const one = rule({ limit: 1 });
    await store.take([one], NOW);
    for (let i = 1; i < 20; i++) await store.take([one], NOW + i * 100);
    expect(await store.take([one], NOW + 10_000)).toMatchObject({ allowed: true });
  });

  it('counts a named unit once, however often it is taken, and never refuses it while it lives', async () => {
    const [store, other] = stores();
    const one = rule({ limit: 2 });
    const named = { ...one, unit: 'mail-1' };
    for (let i = 0; i < 5; i++) expect(await store.take([named], NOW + i)).toMatchObject({ allowed: true });
    expect(await store.take([one], NOW + 10)).toMatchObject({ allowed: true });
    expect(await store.take([one], NOW + 11)).toMatchObject({ allowed: false });
    expect(await other.take([named], NOW + 12)).toMatchObject({ allowed: true, suppressed: false });
    // Repeating it does not lengthen its stay.
    expect(await store.take([one], NOW + 10_000)).toMatchObject({ allowed: true });
    expect(await store.take([named], NOW + 10_001)).toMatchObject({ allowed: false });
  });

  it('takes nothing from any rule when one of them refuses, and names the longest wait', async () => {
    const [store] = stores();
    const short = rule({ name: 'short', limit: 1, windowMs: 1_000 });
    const long = rule({ name: 'long', limit: 1, windowMs: 60_000 });
    const roomy = rule({ name: 'roomy', limit: 1 });
    await store.take([short, long], NOW);
    expect(await store.take([roomy, short, long], NOW)).toEqual({
      allowed: false,
      rule: long,
      retryAfterMs: 60_000,
    });
    expect(await store.take([roomy], NOW)).toMatchObject({ allowed: true });
  });

  it('suppresses instead of refusing, and still takes the refusing rules', async () => {
    const [store] = stores();
    const own = rule({ name: 'own', limit: 2 });
    const cap = rule({ name: 'cap', limit: 1, onExceed: 'suppress' });
    const other = rule({ name: 'other', limit: 1, onExceed: 'suppress' });
    expect(await store.take([own, cap], NOW)).toEqual({ allowed: true, suppressed: false, capped: [] });
    expect(await store.take([own, cap, other], NOW)).toEqual({
      allowed: true,
      suppressed: true,
      capped: [cap],
    });
    expect(await store.take([own, cap], NOW)).toMatchObject({ allowed: false, rule: own });
    expect(await store.take([other], NOW)).toMatchObject({ suppressed: false });
  });

  it('keeps keys and rule names apart', async () => {
    const [store] = stores();
    const one = rule({ limit: 1 });
    await store.take([one], NOW);
    expect(await store.take([{ ...one, key: randomUUID() }], NOW)).toMatchObject({ allowed: true });
    expect(await store.take([{ ...one, name: 'renamed' }], NOW)).toMatchObject({ allowed: true });
  });

  it('refuses everything at a limit of zero', async () => {
    expect(await stores()[0].take([rule({ limit: 0 })], NOW)).toMatchObject({ allowed: false });
  });

  it('keeps the counter of an attacked key while 10,000 other keys come by', async () => {
    const [store] = stores();
    const attacked = rule();
    for (let i = 0; i < 3; i++) await store.take([attacked], NOW);
    // Small batches: on a busy machine a thousand at once outlast the store's patience of 400 ms.
    for (let batch = 0; batch < 100; batch++) {
      await Promise.all(Array.from({ length: 100 }, () => store.take([rule()], NOW)));
    }
    expect(await store.take([attacked], NOW)).toMatchObject({ allowed: false });
  });
}

describe('in memory', () => {
  const store = memoryLimitStore();
  contract(() => [store, store]);

  it('fails closed when full of live counters, keeps them, and recovers when they expire', async () => {
    const small = memoryLimitStore({ maxKeys: 10 });
    const rules = Array.from({ length: 10 }, () => rule({ limit: 1 }));
    await small.take(rules, NOW);
    await expect(small.take([rule()], NOW + 1)).rejects.toThrow(StoreUnavailable);
    expect(await small.take([rules[0]!], NOW + 2)).toMatchObject({ allowed: false });
    expect(await small.take([rule()], NOW + 10_000)).toMatchObject({ allowed: true });
  });
});

describe.skipIf(!given && !hasRedisServer)(
  'on Redis (needs TEST_REDIS_URL, REDIS_URL or redis-server)',
  () => {
    let server: PrivateRedis | null = null;
    let clients: [RedisStore, RedisStore];
    let stores: [LimitStore, LimitStore];
    const prefix = `test:${randomUUID()}:`;

    beforeAll(async () => {
      server = given ? null : await privateRedis();
      await server?.start();
      const url = given ?? server!.url;
      clients = [connectRedis(url, { log: silent }), connectRedis(url, { log: silent })];
      stores = [redisLimitStore(clients[0], prefix), redisLimitStore(clients[1], prefix)];
      expect(await Promise.all(clients.map((client) => client.ready(5000)))).toEqual([true, true]);
    });
    afterAll(async () => {
      for (const client of clients) client.close();
      await server?.stop();
    });

    contract(() => stores);

    it('bounds a counter by its limit and lets every key expire', async () => {
      const one = rule({ limit: 2 });
      for (let i = 0; i < 5; i++) await stores[0].take([one], NOW);
      const key = `${prefix}rule:${one.key}`;
      expect(await clients[0].client.zcard(key)).toBe(2);
      const expiry = await clients[0].client.pttl(key);
      expect(expiry).toBeGreaterThan(one.windowMs);
      expect(expiry).toBeLessThanOrEqual(one.windowMs + 60_000);
    });

    it('goes on after the script cache was lost', async () => {
      const one = rule({ limit: 2 });
      await stores[0].take([one], NOW);
      await clients[0].client.script('FLUSH');
      expect(await stores[0].take([one], NOW)).toMatchObject({ allowed: true });
      expect(await stores[0].take([one], NOW)).toMatchObject({ allowed: false });
    });
  },
);
