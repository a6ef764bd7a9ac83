/** What operators and clients ask before anything else: identity, health, public keys. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { createDocument, sendDocument } from '../../http/documents.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import type { Services } from '../../http/services.ts';
import { JWKS_MAX_AGE_S, jwks } from '../../kernel/tokens/index.ts';
import { readinessOf } from './readiness.ts';

const rootAnswer = z
  .object({
    service: z.string(),
    message: z.string(),
    version: z.string(),
    environment: z.string(),
    demo: z.boolean(),
    docs: z.string(),
    docs_url: z.string(),
  })
  .meta({ id: 'Service' });

const healthAnswer = z
  .object({
    status: z.enum(['healthy', 'degraded', 'unavailable']),
    service: z.string(),
    version: z.string(),
    timestamp: z.string(),
    checks: z.record(z.string(), z.string()),
    degraded: z.array(z.string()),
  })
  .meta({ id: 'Health' });

const jwksAnswer = z.object({ keys: z.array(z.looseObject({ kid: z.string() })) }).meta({ id: 'Jwks' });

export const metaRoutes =
  (s: Services, version: string): FastifyPluginAsyncZod =>
  async (app) => {
    const tags = ['Service'];
    app.get(
      '/',
      { schema: { summary: 'What this is', tags, security: [], response: { 200: rootAnswer } } },
      async () => ({
        service: s.config.appName,
        message: `Welcome to ${s.config.appName}`,
        version,
        environment: s.config.env,
        demo: s.config.demo,
        docs: '/docs',
        docs_url: `${s.config.publicUrl}/docs`,
      }),
    );

    const health = async () => {
      const { ready, checks, degraded } = await readinessOf(s);
      return {
        status: ready
          ? degraded.length
            ? ('degraded' as const)
            : ('healthy' as const)
          : ('unavailable' as const),
        service: s.config.appName,
        version,
        timestamp: new Date(s.clock.now()).toISOString(),
        checks,
        degraded,
      };
    };
    for (const path of ['/health', '/health/ready']) {
      app.get(
        path,
        {
          schema: {
            summary: 'Whether requests can be served; what runs degraded',
            tags,
            security: [],
            response: { 200: healthAnswer, 503: healthAnswer },
          },
        },
        async (_request, reply) => {
          const answer = await health();
          reply.code(answer.status === 'unavailable' ? 503 : 200);
          return answer;
        },
      );
    }
    app.get(
      '/health/live',
      {
        schema: {
          summary: 'Liveness',
          tags,
          security: [],
          response: { 200: z.object({ status: z.literal('alive') }) },
        },
      },
      async () => ({ status: 'alive' as const }),
    );

    for (const path of ['/v1/auth/.well-known/jwks.json', '/.well-known/jwks.json']) {
      app.get(
        path,
        {
          schema: {
            summary: 'Public keys that verify access tokens (RFC 7517)',
            tags: ['Tokens'],
            security: [],
            response: { 200: jwksAnswer, ...problemsFor(503) },
          },
        },
        (request, reply) => {
          reply.header('cache-control', `public, max-age=${JWKS_MAX_AGE_S}`);
          sendDocument(request, reply, createDocument(JSON.stringify(jwks(s.keys.keys()))), {
            type: 'application/json; charset=utf-8',
            compress: false,
          });
        },
      );
    }
  };
