/** Token introspection for services: the form of RFC 7662, or the same parameters as JSON. */
import { hash, timingSafeEqual } from 'node:crypto';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { problemsFor } from '../../http/flow-answers.ts';
import { registerForm } from '../../http/form-body.ts';
import { bearerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import { introspectAnswer, introspectBody, introspectForm } from './contract.ts';
import { introspect } from './introspection.ts';
import type { Refresh } from './refresh.ts';

export const introspectRoute =
  (s: Services, refresh: Refresh): FastifyPluginAsyncZod =>
  async (app) => {
    registerForm(app, introspectForm);
    app.post(
      '/v1/auth/introspect',
      {
        config: { formBody: 'or-json' },
        schema: {
          summary: 'Introspect a token (RFC 7662)',
          description:
            'For services. The bearer token is the configured INTROSPECTION_TOKEN. An access or a refresh token that ' +
            'is not in force, for whatever reason, is only `active: false`.',
          tags: ['Sessions'],
          security: [{ serviceToken: [] }],
          consumes: ['application/x-www-form-urlencoded', 'application/json'],
          body: introspectBody,
          response: { 200: introspectAnswer, ...problemsFor(400, 401, 429, 503) },
        },
      },
      async (request) => {
        requireService(bearerOf(request), s);
        return introspect(request.body.token, { ...s, refresh });
      },
    );
  };

function requireService(token: string | null, { introspectionToken }: Services): void {
  if (token === null) throw new Problem('unauthenticated');
  const digest = (text: string) => hash('sha256', text, 'buffer');
  const known = introspectionToken !== null && timingSafeEqual(digest(token), digest(introspectionToken));
  if (!known) throw new Problem('invalid_token');
}
