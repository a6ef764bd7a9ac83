/**
 * Which pages of other origins may read answers: an exact list, never a pattern, never everybody. An origin that is
 * not on it (`null`, another port or scheme, a look-alike name) gets no CORS header at all.
 */
import cors, { type FastifyCorsOptions } from '@fastify/cors';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';

export type CorsOptions = {
  /** As browsers write them: scheme, host, port unless default; no trailing slash. */
  origins: readonly string[];
  /** Whether those origins may send the refresh cookie. */
  credentials: boolean;
};

const PREFLIGHT_MAX_AGE_S = 600;

async function plugin(app: FastifyInstance, { origins, credentials }: CorsOptions) {
  const allowed = new Set(origins);
  const shared = {
    credentials,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key'],
    exposedHeaders: ['x-request-id', 'retry-after', 'ratelimit', 'ratelimit-policy', 'idempotent-replayed'],
    maxAge: PREFLIGHT_MAX_AGE_S,
  };
  await app.register(cors, {
    // The plugin would send its other headers to strangers too; a delegator answers each origin by itself.
    delegator: (
      { headers: { origin } }: FastifyRequest,
      answer: (error: null, options: FastifyCorsOptions) => void,
    ) =>
      answer(null, origin !== undefined && allowed.has(origin) ? { ...shared, origin } : { origin: false }),
  });
}

export default fp(plugin, { name: 'cors-list', fastify: '5.x' });
