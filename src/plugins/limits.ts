/**
 * The limit every request passes first: so many a minute per network, unknown paths included, health checks not.
 * It protects capacity only, so without Redis it goes on with this process's own counters, and says so.
 */
import rateLimit from '@fastify/rate-limit';
import type { FastifyPluginAsync } from 'fastify';
import fp from 'fastify-plugin';
import type { Clock } from '../clock.ts';
import { createBreaker, StoreUnavailable } from '../limits/breaker.ts';
import { rateLimitHeaders } from '../limits/headers.ts';
import { networkOf } from '../limits/network.ts';
import type { Window } from '../limits/numbers.ts';
import type { Reports } from '../limits/reports.ts';
import { memoryLimitStore } from '../limits/store.ts';
import { Problem } from '../problems.ts';
import type { RedisStore } from '../redis.ts';

export type NetworkLimitOptions = {
  /** Requests of one network; counted in a fixed window, which is exact enough for capacity. */
  window: Window;
  /** Keyed hash of the network, so that no address is stored. */
  hashKey: (text: string) => string;
  clock: Clock;
  /** From `createLimits`. */
  reports: Reports;
  /** Shared counters of all replicas; without it each process counts for itself. */
  redis?: RedisStore;
};

/** `remaining` is null where only this process counted: it does not know the caller's whole budget. */
type Count = { remaining: number | null; waitMs: number; exceeded: boolean };

const HEALTH = /^\/health(\/|$)/;

const networkLimit: FastifyPluginAsync<NetworkLimitOptions> = async (app, options) => {
  const { window, hashKey, clock, reports, redis } = options;
  await app.register(rateLimit, {
    global: false,
    max: window.limit,
    timeWindow: window.windowMs,
    cache: 50_000,
    keyGenerator: (request) => hashKey(`network:${networkOf(request.ip)}`),
    errorResponseBuilder: (_request, { ttl }) => new Problem('rate_limited', { retryAfter: seconds(ttl) }),
    ...(redis ? { redis: redis.client, nameSpace: 'vestibule:network:' } : {}),
  });
  const shared = app.createRateLimit();
  const breaker = createBreaker({ patienceMs: 100 });
  const local = memoryLimitStore({ maxKeys: 10_000 });

  const countLocally = async (ip: string): Promise<Count> => {
    const rule = { name: 'network', key: hashKey(`network:${networkOf(ip)}`), onExceed: 'refuse' } as const;
    const verdict = await local.take([{ ...rule, ...window }], clock.now());
    if (verdict.allowed) return { remaining: null, waitMs: 0, exceeded: false };
    return { remaining: 0, waitMs: verdict.retryAfterMs, exceeded: true };
  };

  app.addHook('onRequest', async (request, reply) => {
    if (HEALTH.test(request.routeOptions.url ?? '')) return;
    const count = await breaker
      .run(async () => {
        const answer = await shared(request);
        if (answer.isAllowed) throw new StoreUnavailable('the network was not counted');
        return { remaining: answer.remaining, waitMs: answer.ttl, exceeded: answer.isExceeded };
      })
      .catch((cause: Error) => {
        reports.degraded('network', cause);
        return countLocally(request.ip);
      })
      .catch(() => null);
    if (count === null || count.remaining === null) return;
    const resetSeconds = seconds(count.waitMs);
    const headers = rateLimitHeaders('network', window, { remaining: count.remaining, resetSeconds });
    if (count.exceeded) throw new Problem('rate_limited', { retryAfter: resetSeconds, headers });
    reply.headers(headers);
  });
};

const seconds = (ms: number) => Math.max(1, Math.ceil(ms / 1000));

export default fp(networkLimit, { name: 'network-limit', fastify: '5.x' });
