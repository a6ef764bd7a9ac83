/** `/balance_hub`: registration and recovery under their documented contracts, over the same flows as `/v1`. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { problemsFor } from '../../http/flow-answers.ts';
import { callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { parseEmail } from '../../kernel/identifiers/index.ts';
import { askForReset, resetPassword } from '../recovery/commands.ts';
import { refuseBlocked } from '../signup/contract.ts';
import { askForAnotherCode, enterEmailCode, registerByEmail } from '../signup/registration.ts';
import {
  HUB_FORGOTTEN,
  HUB_RESENT,
  hubDoneAnswer,
  hubForgetBody,
  hubMessageAnswer,
  hubRegisterAnswer,
  hubRegisterBody,
  hubResendBody,
  hubResendQuery,
  hubResetBody,
  hubVerified,
  hubVerifyAnswer,
  hubVerifyBody,
  resendTarget,
} from './contract.ts';
import { balanceHubSessionRoutes } from './session-routes.ts';

export const balanceHubRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const doc = (summary: string, description: string) => ({
      summary,
      description,
      tags: ['balance_hub'],
      security: [],
    });

    app.post(
      '/balance_hub/auth/register',
      {
        config: { sends: { machine: 'signup', event: 'REGISTERED', offered: false } },
        schema: {
          ...doc(
            'Register with a username, an e-mail address and a password',
            'A username in use is a 409, since usernames are public; an address in use is answered like a free one, and its owner gets a mail.',
          ),
          body: hubRegisterBody,
          response: { 201: hubRegisterAnswer, ...problemsFor(400, 409, 422, 429, 503) },
        },
      },
      async (request, reply) => {
        const { username, email, password, full_name: name = null } = request.body;
        const caller = callerOf(request, s);
        const locale = caller.envelope.language ?? 'en-US';
        const flow = await registerByEmail(
          s,
          { email: parseEmail(email), password, name, username, timezone: 'UTC', locale },
          caller,
        );
        reply.code(201);
        return {
          success: true as const,
          message: 'Registered. Enter the code of the mail to verify the address.',
          user_id: flow.accountId ?? '',
          next_step: 'verify_email',
        };
      },
    );

    app.post(
      '/balance_hub/auth/verify-email',
      {
        config: { sends: { machine: 'signup', event: 'CODE_CHECKED', offered: false } },
        schema: {
          ...doc(
            'Prove the e-mail address with the code of the mail',
            'Wrong, expired, used and unknown look alike; five wrong codes end the code, and the address keeps count of all guesses when another one is asked for.',
          ),
          body: hubVerifyBody,
          response: { 200: hubVerifyAnswer, ...problemsFor(400, 403, 409, 429, 503) },
        },
      },
      async (request) => {
        const { user_id: accountId, code } = request.body;
        const caller = callerOf(request, s);
        await s.limits.codeCheck({ network: caller.network }, caller);
        const { flow } = await enterEmailCode(
          s,
          {
            code,
            name: accountId,
            locate: async () => ({ accountId, machine: 'signup' }),
            byAddress: false,
            token: null,
            session: null,
          },
          caller,
        );
        refuseBlocked(flow);
        return hubVerified(flow);
      },
    );

    app.post(
      '/balance_hub/auth/resend-verification',
      {
        config: { sends: { machine: 'signup', event: 'CODE_REQUESTED', offered: false } },
        schema: {
          ...doc(
            'Ask for another verification code; invalidates the earlier one',
            'The event is sent once the answer is on its way. Names the account in the body or, as older clients do, in the query. Always the same answer.',
          ),
          body: hubResendBody,
          querystring: hubResendQuery,
          response: { 200: hubDoneAnswer, ...problemsFor(400, 429, 503) },
        },
      },
      async (request) => {
        await askForAnotherCode(s, resendTarget(request.body, request.query), callerOf(request, s));
        return HUB_RESENT;
      },
    );

    app.post(
      '/balance_hub/auth/password/forget',
      {
        config: { sends: { machine: 'recovery', event: 'RESET_REQUESTED', offered: false } },
        schema: {
          ...doc('Ask for a link that sets a new password', 'Always the same answer.'),
          body: hubForgetBody,
          response: { 200: hubMessageAnswer, ...problemsFor(400, 429, 503) },
        },
      },
      async (request) => {
        await askForReset(s, parseEmail(request.body.email), callerOf(request, s));
        return HUB_FORGOTTEN;
      },
    );

    app.post(
      '/balance_hub/auth/password/reset',
      {
        config: { sends: { machine: 'recovery', event: 'PASSWORD_RESET', offered: false } },
        schema: {
          ...doc(
            'Set a new password with the code of the link; every session ends',
            'Expired, used, foreign and malformed codes look alike.',
          ),
          body: hubResetBody,
          response: { 200: hubMessageAnswer, ...problemsFor(400, 422, 429, 503) },
        },
      },
      async (request) => {
        const { code: token, new_password: password } = request.body;
        await resetPassword(s, { token, password }, callerOf(request, s));
        return { message: 'The password is set and every session has ended.' };
      },
    );

    await app.register(balanceHubSessionRoutes(s));
  };
