/** The link of a notice that a contact was changed: the reader of an earlier address takes the change back. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { problemsFor } from '../../http/flow-answers.ts';
import { callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { undoChange } from './undo.ts';
import { undoChangeAnswer, undoChangeBody } from './undo-contract.ts';

export const contactChangeRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/auth/contact-change/undo',
      {
        config: { sends: { machine: 'contact_change', event: 'CHANGE_UNDONE' } },
        schema: {
          summary: 'Undo a change of contacts with the token of the notice; every session ends',
          tags: ['Recovery'],
          security: [],
          body: undoChangeBody,
          response: { 200: undoChangeAnswer, ...problemsFor(400, 429, 503) },
        },
      },
      async (request) => {
        const { flow, sessionsEnded } = await undoChange(s, request.body.token, callerOf(request, s));
        return {
          user_id: flow.accountId ?? '',
          message: 'The change is undone and every session has ended. Set a new password.',
          state: flow.state,
          sessions_revoked: sessionsEnded,
        };
      },
    );
  };
