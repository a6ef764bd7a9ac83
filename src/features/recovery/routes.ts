/** Forgotten password: ask for a link, use it once. Nothing in an answer tells whether an address is known. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { problemsFor } from '../../http/flow-answers.ts';
import { callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { parseEmail } from '../../kernel/identifiers/index.ts';
import { askForReset, resetPassword } from './commands.ts';
import { resetAnswer, resetBody, resetRequestAnswer, resetRequestBody, resetRequested } from './contract.ts';

export const recoveryRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/auth/password/reset-request',
      {
        config: { sends: { machine: 'recovery', event: 'RESET_REQUESTED', offered: false } },
        schema: {
          summary: 'Ask for a link that sets a new password',
          description: 'Always the same answer.',
          tags: ['Recovery'],
          security: [],
          body: resetRequestBody,
          response: { 200: resetRequestAnswer, ...problemsFor(400, 429, 503) },
        },
      },
      async (request) => {
        const email = parseEmail(request.body.email);
        await askForReset(s, email, callerOf(request, s));
        return resetRequested(email.canonical, s.config.password.resetTtlS);
      },
    );

    app.post(
      '/v1/auth/password/reset',
      {
        config: { sends: { machine: 'recovery', event: 'PASSWORD_RESET' } },
        schema: {
          summary: 'Set a new password with the token of the link; every session ends',
          tags: ['Recovery'],
          security: [],
          body: resetBody,
          response: { 200: resetAnswer, ...problemsFor(400, 422, 429, 503) },
        },
      },
      async (request) => {
        const { token, new_password: password } = request.body;
        const { flow, sessionsEnded } = await resetPassword(s, { token, password }, callerOf(request, s));
        return {
          user_id: flow.accountId ?? '',
          message: 'The password is set and every session has ended.',
          state: flow.state,
          sessions_revoked: sessionsEnded,
        };
      },
    );
  };
