/** The account behind the token. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { authenticate } from '../../http/authenticate.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import type { Services } from '../../http/services.ts';
import { meAnswer, meContract } from './me-contract.ts';

export const userRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/users/me',
      {
        config: {
          follows: [
            { machine: 'signup', states: ['FULL'], as: 'ME' },
            { machine: 'login', states: ['L6_result.AUTHENTICATED'], as: 'ME' },
          ],
        },
        schema: {
          summary: 'The account behind the token',
          tags: ['Users'],
          security: [{ bearerAuth: [] }],
          response: { 200: meAnswer, ...problemsFor(401, 403, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const now = s.clock.now();
        // Nobody below FULL has any.
        const linked =
          live.account.tier === 'FULL' ? await s.tradingAccounts.of(live.account.id, new Date(now)) : [];
        return meContract(live, linked, now);
      },
    );
  };
