/**
 * The limit every request passes first: so many a minute per network, unknown paths included, health checks not.
 * It protects capacity only, so without Redis it goes on with this process's own counters, and says so.
 */
import type { FastifyPluginAsync } from 'fastify';
import fp from 'fastify-plugin';
import type { Clock } from '../clock.ts';
import { type CapacityCount, type CapacityCounter, memoryCapacity } from '../limits/capacity.ts';
import { rateLimitHeaders } from '../limits/headers.ts';
import { networkOf } from '../limits/network.ts';
import type { Window } from '../limits/numbers.ts';
import type { Reports } from '../limits/reports.ts';
import { Problem } from '../problems.ts';

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

const HEALTH = /^\/health(\/|$)/;

const networkLimit: FastifyPluginAsync<NetworkLimitOptions> = async (app, options) => {
  const { window, hashKey, clock, reports } = options;
  const local = memoryCapacity();
  const shared = options.shared ?? local;

  /** Only this process counted: it does not know the caller's whole budget, so a success shows none. */
  const countLocally = async (key: string): Promise<CapacityCount | null> => {
    const count = await local(key, window, clock.now()).catch(() => null);
    return count?.allowed ? null : count;
  };

  app.addHook('onRequest', (request, reply, done) => {
    if (HEALTH.test(request.routeOptions.url ?? '')) {
      done();
      return;
    }
    const key = hashKey(`network:${networkOf(request.ip)}`);
    shared(key, window, clock.now())
      .catch((cause: Error) => {
        reports.degraded('network', cause);
        return countLocally(key);
      })
      .then((count) => {
        if (count === null) return done();
        // A unit comes back after one window at the latest.
        const resetSeconds = Math.max(1, Math.ceil((count.allowed ? window.windowMs : count.waitMs) / 1000));
        const headers = rateLimitHeaders('network', window, { remaining: count.remaining, resetSeconds });
        if (!count.allowed) return done(new Problem('rate_limited', { retryAfter: resetSeconds, headers }));
        reply.headers(headers);
        done();
      })
      .catch(done);
  });
};

export default fp(networkLimit, { name: 'network-limit', fastify: '5.x' });
