/**
 * The limit every request passes first: so many a minute per network, unknown paths included, health checks not.
 * It protects capacity only, so without Redis it goes on with this process's own counters, and says so.
 */
import rateLimit, { type FastifyRateLimitStore } from '@fastify/rate-limit';
import type { FastifyPluginAsync } from 'fastify';
import fp from 'fastify-plugin';
import { type CapacityCounter, memoryCapacity } from '../adapters/limits/capacity.ts';
import type { Window } from '../config/limit-numbers.ts';
import type { Clock } from '../kernel/clock.ts';
import { Problem } from '../kernel/problems.ts';
import { rateLimitHeaders } from './limits/headers.ts';
import { networkOf } from './limits/network.ts';
import type { Reports } from './limits/reports.ts';

export type NetworkLimitOptions = {
  /** Requests of one network. */
  window: Window;
  /** Keyed hash of the network, so that no address is stored. */
  hashKey: (text: string) => string;
  clock: Clock;
  /** From `createLimits`. */
  reports: Reports;
  /** Counters shared by all replicas; without them each process counts for itself. */
  shared?: CapacityCounter;
};

/** Of a request that only this process counted and found room for: it does not know the caller's whole budget. */
const UNKNOWN_BUDGET = -1;

const HEALTH = /^\/health(\/|$)/;

/** The plugin's store over our counters: they slide, travel together to Redis, and have a local stand-in. */
function storeOf({ window, clock, reports, shared }: NetworkLimitOptions) {
  const local = memoryCapacity();
  return class CapacityStore implements FastifyRateLimitStore {
    incr(key: string, done: (error: Error | null, count?: { current: number; ttl: number }) => void): void {
      const now = clock.now();
      const taken = async () => {
        if (!shared) return local(key, window, now);
        return shared(key, window, now).catch(async (cause: Error) => {
          reports.degraded('network', cause);
          const count = await local(key, window, now);
          return count.allowed ? { ...count, remaining: window.limit - UNKNOWN_BUDGET } : count;
        });
      };
      taken().then(
        ({ allowed, remaining, waitMs }) =>
          done(null, {
            current: allowed ? window.limit - remaining : window.limit + 1,
            // A unit comes back after one window at the latest.
            ttl: allowed ? window.windowMs : waitMs,
          }),
        (error: Error) => done(error),
      );
    }

    child(): CapacityStore {
      return this;
    }
  };
}

const networkLimit: FastifyPluginAsync<NetworkLimitOptions> = async (app, options) => {
  const { window, hashKey } = options;
  await app.register(rateLimit, {
    global: false,
    max: window.limit,
    timeWindow: window.windowMs,
    keyGenerator: (request) => hashKey(`network:${networkOf(request.ip)}`),
    store: storeOf(options),
  });
  const count = app.createRateLimit();

  app.addHook('onRequest', (request, reply, done) => {
    if (HEALTH.test(request.routeOptions.url ?? '')) {
      done();
      return;
    }
    count(request).then(
      (answer) => {
        if (answer.isAllowed || answer.remaining > window.limit) return done();
        const resetSeconds = Math.max(1, Math.ceil(answer.ttl / 1000));
        const headers = rateLimitHeaders('network', window, { remaining: answer.remaining, resetSeconds });
        if (answer.isExceeded) {
          return done(new Problem('rate_limited', { retryAfter: resetSeconds, headers }));
        }
        reply.headers(headers);
        done();
      },
      // Neither store can count: capacity alone is no reason to refuse.
      () => done(),
    );
  });
};

export default fp(networkLimit, { name: 'network-limit', fastify: '5.x' });
