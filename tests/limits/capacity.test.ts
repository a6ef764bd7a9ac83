/** What a capacity counter promises, in memory and on Redis alike. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import {
  type CapacityCounter,
  memoryCapacity,
  type SharedCounts,
} from '../../src/adapters/limits/capacity.ts';
import { countAhead, redisCapacity } from '../../src/adapters/limits/capacity-ahead.ts';
import { connectRedis, type RedisStore, StoreUnavailable } from '../../src/adapters/redis.ts';
import { hasRedisServer, type PrivateRedis, privateRedis } from './redis-server.ts';

const MINUTE = 60_000;
const START = MINUTE * 28_000_000;
const window = { limit: 10, windowMs: MINUTE };
const silent = { warn: () => {}, info: () => {} };

function contract(counters: () => [CapacityCounter, CapacityCounter]) {
  it('allows exactly the limit of a quiet key, over two clients at once', async () => {
    const key = randomUUID();
    const calls = Array.from({ length: 40 }, (_, i) => counters()[i % 2]!(key, window, START));
    expect((await Promise.all(calls)).filter(({ allowed }) => allowed)).toHaveLength(10);
  });

  it('keeps most of a full window in mind when the next one begins, and forgets it by its end', async () => {
    const [count] = counters();
    const key = randomUUID();
    for (let i = 0; i < 10; i++) await count(key, window, START + MINUTE - 1);
    expect(await count(key, window, START + MINUTE)).toMatchObject({ allowed: false, remaining: 0 });
    expect(await count(key, window, START + MINUTE * 1.5)).toMatchObject({ allowed: true, remaining: 4 });
    expect(await count(key, window, START + MINUTE * 4)).toMatchObject({ allowed: true, remaining: 9 });
  });

  it('charges nothing for a refusal, and has room again after the wait it names', async () => {
    const [count] = counters();
    const key = randomUUID();
    for (let i = 0; i < 30; i++) await count(key, window, START + 1);
    const { waitMs } = await count(key, window, START + 1);
    expect((await count(key, window, START + waitMs)).allowed).toBe(false);
    expect((await count(key, window, START + 1 + waitMs)).allowed).toBe(true);
  });

  it('refuses everything at a limit of zero, and keeps keys apart', async () => {
    const [count] = counters();
    expect((await count(randomUUID(), { ...window, limit: 0 }, START)).allowed).toBe(false);
    const all = await Promise.all(
      Array.from({ length: 50 }, () => count(randomUUID(), { ...window, limit: 1 }, START)),
    );
    expect(all.every(({ allowed }) => allowed)).toBe(true);
  });
}

describe('in memory', () => {
  const counter = memoryCapacity();
  contract(() => [counter, counter]);

  it('fails when full of live counters, and recovers when they expire', async () => {
    const small = memoryCapacity({ maxKeys: 2 });
    for (const key of ['a', 'b']) await small(key, window, START);
    await expect(small('c', window, START)).rejects.toThrow(StoreUnavailable);
    expect((await small('a', window, START)).allowed).toBe(true);
    expect((await small('c', window, START + 3 * MINUTE)).allowed).toBe(true);
  });
});

describe.skipIf(!hasRedisServer)('on Redis (needs redis-server)', () => {
  let server: PrivateRedis;
  let clients: RedisStore[];
  let counters: CapacityCounter[];
  beforeAll(async () => {
    server = await privateRedis();
    await server.start();
    clients = [1, 2].map(() => connectRedis(server.url, { log: silent }));
    for (const client of clients) await client.ready(5000);
    counters = clients.map((client) => redisCapacity(client, 'capacity:'));
  });
  afterAll(async () => {
    for (const client of clients) client.close();
    await server.stop();
  });
  contract(() => counters as [CapacityCounter, CapacityCounter]);

  it('lets every key expire', async () => {
    const { client } = clients[0]!;
    for (const key of await client.keys('capacity:*')) expect(await client.pttl(key)).toBeGreaterThan(0);
  });

  it('fails for every caller of a batch when Redis is gone', async () => {
    await server.stop();
    const calls = [1, 2, 3].map(() => counters[0]!(randomUUID(), window, START));
    for (const one of await Promise.allSettled(calls)) expect(one.status).toBe('rejected');
  });
});

describe('counting ahead of the shared counters', () => {
  const wide = { limit: 100, windowMs: MINUTE };
  /** Shared counters in this process; how often they were asked for a unit, and what they were told. */
  const shared = () => {
    const seen = { asked: 0, told: 0 };
    const counts: SharedCounts = async (_key, { limit }, _now, used) => {
      const current = seen.asked + seen.told;
      if (used > 0) seen.told += used;
      else if (current + 1 <= limit) seen.asked += 1;
      return { current, previous: 0 };
    };
    return { seen, counts };
  };

  it('asks for the first unit of a key and not for the next ones, and tells of them soon', async () => {
    const { seen, counts } = shared();
    const count = countAhead(counts);
    for (let i = 0; i < 20; i++) expect((await count('k', wide, START)).remaining).toBe(99 - i);
    expect(seen.asked).toBe(1);
    await expect.poll(() => seen.told, { timeout: 2000, interval: 5 }).toBe(19);
  });

  it('allows exactly the limit, however much was counted ahead', async () => {
    const { seen, counts } = shared();
    const count = countAhead(counts);
    let allowed = 0;
    for (let i = 0; i < 150; i++) if ((await count('k', wide, START)).allowed) allowed += 1;
    expect(allowed).toBe(100);
    expect(seen.asked + seen.told).toBe(100);
  });

  it('asks again when what it knows is old or of another window', async () => {
    const { seen, counts } = shared();
    const count = countAhead(counts);
    await count('k', wide, START);
    await count('k', wide, START + 600);
    await count('k', wide, START + MINUTE);
    expect(seen.asked).toBe(3);
  });

  it('after a failure to tell it asks, and says that the counters are away', async () => {
    const { counts } = shared();
    let away = false;
    const count = countAhead((...call) =>
      away ? Promise.reject(new StoreUnavailable('gone')) : counts(...call),
    );
    for (let i = 0; i < 5; i++) await count('k', wide, START);
    away = true;
    await expect
      .poll(
        () =>
          count('k', wide, START).then(
            () => 'counted',
            () => 'away',
          ),
        { timeout: 2000, interval: 5 },
      )
      .toBe('away');
  });
});
