/**
 * Which pages of other origins may read answers: an exact list, never a pattern; only public keys are for everybody. An origin that is
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
  /** Request headers those pages may send beside the usual ones; lower case. */
  headers: readonly string[];
};

/** Public keys: any page may read them, without credentials. */
const OPEN_TO_ALL = /^\/(?:v1\/auth\/)?\.well-known\/jwks\.json(?:\?|$)/;

/** What tracing libraries put on every request (W3C Trace Context and Baggage, Sentry). */
const TRACING = ['traceparent', 'tracestate', 'baggage', 'sentry-trace'];

const PREFLIGHT_MAX_AGE_S = 600;

async function plugin(app: FastifyInstance, { origins, credentials, headers }: CorsOptions) {
  const allowed = new Set(origins);
  const shared = {
    credentials,
    methods: ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'],
    allowedHeaders: ['authorization', 'content-type', 'idempotency-key', ...TRACING, ...headers],
    exposedHeaders: ['x-request-id', 'retry-after', 'ratelimit', 'ratelimit-policy', 'idempotent-replayed'],
    maxAge: PREFLIGHT_MAX_AGE_S,
  };
  const everybody = {
    ...shared,
    origin: '*',
    credentials: false,
    methods: ['GET', 'HEAD'],
    exposedHeaders: [...shared.exposedHeaders, 'etag'],
  };
  await app.register(cors, {
    // The plugin would send its other headers to strangers too; a delegator answers each origin by itself.
    delegator: (
      { url, headers: { origin, 'access-control-request-method': asked } }: FastifyRequest,
      answer: (error: null, options: FastifyCorsOptions) => void,
    ) => {
      // Any other OPTIONS request asks what the path takes, not whether a page may send it.
      const preflight = asked !== undefined;
      if (OPEN_TO_ALL.test(url)) return answer(null, { ...everybody, preflight });
      const listed = origin !== undefined && allowed.has(origin);
      answer(null, listed ? { ...shared, origin, preflight } : { origin: false });
    },
  });
}

export default fp(plugin, { name: 'cors-list', fastify: '5.x' });
