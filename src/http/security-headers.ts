/**
 * Headers of every answer. A route may loosen one (JWKS is cacheable, pages have a policy of their own) by setting it;
 * nothing here may overwrite what a route has set. By hand rather than through helmet, because answers written before
 * routing (bad URLs, broken requests) need the very same list.
 */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';

export type SecurityHeadersOptions = {
  /** Reached over https: promise it to browsers for a year, sub-domains included (RFC 6797). */
  https: boolean;
  /** Say on every answer that fixed codes are accepted and nothing is delivered. */
  demo: boolean;
};

export function securityHeaders({ https, demo }: SecurityHeadersOptions): Record<string, string> {
  return {
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    ...(https && { 'strict-transport-security': 'max-age=31536000; includeSubDomains' }),
    ...(demo && { 'demo-mode': 'true' }),
  };
}

async function plugin(app: FastifyInstance, options: SecurityHeadersOptions) {
  const headers = securityHeaders(options);
  app.addHook('onRequest', (_request, reply, done) => {
    reply.headers(headers);
    done();
  });
}

export default fp(plugin, { name: 'security-headers', fastify: '5.x' });
