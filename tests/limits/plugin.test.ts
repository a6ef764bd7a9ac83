/** The network-wide limit over real sockets: counting, answers, exemptions, and life without Redis. */
import { randomUUID } from 'node:crypto';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterEach, describe, expect, it } from 'vitest';
import { connectRedis, type RedisStore } from '../../src/adapters/redis.ts';
import { createReports } from '../../src/http/limits/reports.ts';
import networkLimit from '../../src/http/network-limit.ts';
import problems from '../../src/http/problems.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { eventually, hasRedisServer, type PrivateRedis, privateRedis } from './redis-server.ts';

const silent = { warn: () => {}, error: () => {}, info: () => {} };
const apps: FastifyInstance[] = [];

async function serve(limit: number, redis?: RedisStore, salt: string = randomUUID()) {
  const clock = systemClock();
  const reports = createReports({ clock, log: silent });
  const app = Fastify({ trustProxy: true });
  apps.push(app);
  await app.register(problems);
  await app.register(networkLimit, {
    window: { limit, windowMs: 60_000 },
    hashKey: (text) => `${salt}:${text}`,
    reports,
    redis: redis ?? null,
  });
  app.get('/thing', async () => ({ ok: true }));
  app.get('/health/ready', async () => ({ ok: true }));
  const url = await app.listen({ port: 0, host: '127.0.0.1' });
  const get = (path = '/thing', from = '203.0.113.7') =>
    fetch(url + path, { headers: { 'x-forwarded-for': from } });
  const statuses = async (count: number, path?: string, from?: string) => {
    const answers = await Promise.all(Array.from({ length: count }, () => get(path, from)));
    return answers.map((answer) => answer.status).sort();
  };
  return { get, statuses, reports };
}

const times = (status: number, count: number) => new Array<number>(count).fill(status);

afterEach(async () => {
  for (const app of apps.splice(0)) await app.close();
});

describe('without Redis', () => {
  it('allows exactly the limit per network and shows what is left', async () => {
    const { get, statuses } = await serve(5);
    const first = await get();
    expect(first.headers.get('ratelimit-policy')).toBe('"network";q=5;w=60');
    expect(first.headers.get('ratelimit')).toMatch(/^"network";r=4;t=(60|59)$/);
    expect(await statuses(6)).toEqual([...times(200, 4), ...times(429, 2)]);
    expect(await statuses(1, '/thing', '198.51.100.1')).toEqual([200]);
  });

  it('answers 429 as a problem with Retry-After', async () => {
    const { get, statuses } = await serve(1);
    await statuses(1);
    const answer = await get();
    expect(answer.status).toBe(429);
    expect(await answer.json()).toMatchObject({ code: 'rate_limited', status: 429 });
    expect(Number(answer.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(answer.headers.get('ratelimit')).toMatch(/^"network";r=0;t=\d+$/);
  });

  it('counts unknown paths, but never health checks', async () => {
    const { statuses } = await serve(3);
    expect(await statuses(10, '/health/ready')).toEqual(times(200, 10));
    expect(await statuses(3, '/health/nothing')).toEqual(times(404, 3));
    expect(await statuses(1)).toEqual([429]);
  });

  it('counts all addresses of an IPv6 /64 together', async () => {
    const { statuses } = await serve(2);
    expect(await statuses(1, '/thing', '2001:db8:1:2::1')).toEqual([200]);
    expect(await statuses(1, '/thing', '2001:DB8:1:2:ffff::9')).toEqual([200]);
    expect(await statuses(1, '/thing', '2001:db8:1:2::3')).toEqual([429]);
  });
});

describe.skipIf(!hasRedisServer)('with Redis (needs redis-server)', () => {
  let server: PrivateRedis;
  const clients: RedisStore[] = [];
  const connect = async () => {
    const redis = connectRedis(server.url, { log: silent });
    clients.push(redis);
    await redis.ready(5000);
    return redis;
  };
  afterEach(async () => {
    for (const client of clients.splice(0)) client.close();
    server.thaw();
    await server.stop();
  });

  // Again on a machine that stalls for 400 ms: a replica that gets no answer counts alone, as it should.
  it('counts two replicas together', { retry: 2 }, async () => {
    server = await privateRedis();
    await server.start();
    const salt = randomUUID();
    const replicas = [await serve(10, await connect(), salt), await serve(10, await connect(), salt)];
    const answers = await Promise.all(replicas.map((replica) => replica.statuses(10)));
    expect(answers.flat().filter((status) => status === 200)).toHaveLength(10);
  });

  it('goes on with its own counters while Redis is gone or stuck, reports it, and returns to Redis', async () => {
    server = await privateRedis();
    await server.start();
    const { get, statuses, reports } = await serve(5, await connect());
    expect(await statuses(1)).toEqual([200]);
    server.freeze();
    const begun = performance.now();
    expect(await statuses(8)).toEqual([...times(200, 5), ...times(429, 3)]);
    expect(performance.now() - begun).toBeLessThan(1000);
    expect(reports.counts()).toEqual({ network: 8 });
    server.thaw();
    await server.stop();
    expect(await statuses(2, '/thing', '198.51.100.1')).toEqual([200, 200]);
    await server.start();
    await eventually(async () => (await get('/thing', '198.51.100.2')).headers.has('ratelimit'));
  });
});
