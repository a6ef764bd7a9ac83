/** Forgotten password: ask for a link, use it once. Nothing in an answer tells whether an address is known. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import {
  resetAnswer,
  resetBody,
  resetRequestAnswer,
  resetRequestBody,
  resetRequested,
} from '../contracts/recovery.ts';
import { problemsFor } from '../flow-answers.ts';
import { parseFlowToken } from '../flow-token.ts';
import { parseEmail } from '../identifiers.ts';
import { acceptPassword } from '../new-password.ts';
import { Problem } from '../problems.ts';
import { askForReset } from '../recovery.ts';
import { callerOf } from '../request-context.ts';
import type { Services } from '../services.ts';

/** Expired, used, foreign and malformed tokens look alike. */
const badToken = (): Problem => new Problem('invalid_code');

export const recoveryRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/auth/password/reset-request',
      {
        schema: {
          summary: 'Ask for a link that sets a new password',
          description: 'Sends `RESET_REQUESTED` to the recovery machine; always the same answer.',
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
        schema: {
          summary: 'Set a new password with the token of the link; every session ends',
          description: 'Sends `PASSWORD_RESET` to the recovery machine.',
          tags: ['Recovery'],
          security: [],
          body: resetBody,
          response: { 200: resetAnswer, ...problemsFor(400, 422, 429, 503) },
        },
      },
      async (request) => {
        const { token, new_password: password } = request.body;
        const caller = callerOf(request, s);
        const parsed = parseFlowToken(token);
        await s.limits.passwordReset({ identifier: parsed?.flowId ?? 'malformed', network: caller.network });
        if (!parsed) throw badToken();
        const proven = async <T>(work: () => Promise<T>): Promise<T> =>
          work().catch((error) => {
            throw error instanceof Problem && s.proofs.isTokenRefusal(error) ? badToken() : error;
          });
        const { loaded } = await proven(async () => {
          const read = await s.engine.read('recovery', { id: parsed.flowId }, caller);
          s.proofs.holder(read.loaded, token, caller.now);
          return read;
        });
        const passwordHash = await acceptPassword(s, password, {
          context: [loaded.contact?.canonical ?? ''],
          previous: loaded.credential?.passwordHash ?? null,
          pointer: '/body/new_password',
        });
        const { flow } = await proven(() =>
          s.engine.send(
            'recovery',
            { id: parsed.flowId },
            (fresh) => {
              s.proofs.holder(fresh, token, caller.now);
              return {
                event: {
                  type: 'PASSWORD_RESET',
                  now: caller.now,
                  passwordVersion: fresh.credential?.passwordVersion ?? 0,
                },
                enclosures: { credentials: { passwordHash, pinHash: null } },
              };
            },
            caller,
          ),
        );
        return {
          user_id: flow.accountId ?? '',
          message: 'The password is set and every session has ended.',
          state: flow.state,
        };
      },
    );
  };
