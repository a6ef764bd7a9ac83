/**
 * The limit every request passes first: so many a minute per network, unknown paths included, health checks not.
 * It protects capacity only, so while Redis is away it goes on with this process's own counters, and says so.
 */
import rateLimit from '@fastify/rate-limit';
import type { FastifyInstance, FastifyPluginAsync } from 'fastify';
import fp from 'fastify-plugin';
import { createBreaker } from '../adapters/breaker.ts';
import type { RedisStore } from '../adapters/redis.ts';
import type { Window } from '../config/limit-numbers.ts';
import { Problem } from '../kernel/problems.ts';
import { rateLimitHeaders } from './limits/headers.ts';
import { networkOf } from './limits/network.ts';
import type { Reports } from './limits/reports.ts';

export type NetworkLimitOptions = {
  /** Requests of one network. */
  window: Window;
  /** Keyed hash of the network, so that no address is stored. */
  hashKey: (text: string) => string;
  /** From `createLimits`. */
  reports: Reports;
  /** Counts for all replicas; without it each process counts for itself. */
  redis?: RedisStore | null;
};

/** Networks that one process keeps in mind; beyond them the one unseen longest starts anew. */
const MAX_NETWORKS = 50_000;
/** A request waits no longer for Redis. */
const PATIENCE_MS = 100;

const HEALTH = /^\/health(\/|$)/;

/** One of the library's counters. In a scope of its own, because the library keeps one store per scope. */
async function counterOf(
  app: FastifyInstance,
  { window, hashKey }: NetworkLimitOptions,
  store: { redis: RedisStore['client']; nameSpace: string } | { cache: number },
) {
  let count: ReturnType<FastifyInstance['createRateLimit']> | undefined;
  await app.register(async (scope) => {
    await scope.register(rateLimit, {
      global: false,
      max: window.limit,
      timeWindow: window.windowMs,
      keyGenerator: (request) => hashKey(`network:${networkOf(request.ip)}`),
      ...store,
    });
    count = scope.createRateLimit();
  });
  if (!count) throw new Error('the rate limit was not registered');
  return count;
}

const networkLimit: FastifyPluginAsync<NetworkLimitOptions> = async (app, options) => {
  const { window, reports, redis } = options;
  const own = await counterOf(app, options, { cache: MAX_NETWORKS });
  const shared = redis
    ? await counterOf(app, options, { redis: redis.client, nameSpace: 'vestibule:network:' })
    : null;
  const quick = createBreaker({ patienceMs: PATIENCE_MS });

  app.addHook('onRequest', async (request, reply) => {
    if (HEALTH.test(request.routeOptions.url ?? '')) return;
    let budgetKnown = true;
    const answer = shared
      ? await quick
          .run(() => shared(request))
          .catch((cause: Error) => {
            reports.degraded('network', cause);
            budgetKnown = false;
            return own(request);
          })
      : await own(request);
    // Nothing is on an allow list; the type of the library knows one.
    if (answer.isAllowed) return;
    const resetSeconds = Math.max(1, Math.ceil(answer.ttl / 1000));
    const headers = rateLimitHeaders('network', window, { remaining: answer.remaining, resetSeconds });
    if (answer.isExceeded) throw new Problem('rate_limited', { retryAfter: resetSeconds, headers });
    // This process alone does not know what is left of the caller's budget.
    if (budgetKnown) reply.headers(headers);
  });
};

export default fp(networkLimit, { name: 'network-limit', fastify: '5.x' });
