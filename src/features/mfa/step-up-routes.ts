/** Step-up of a session that is open (RFC 9470), and what factors it has. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { authenticate } from '../../http/authenticate.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import { typedCode } from '../../http/inputs.ts';
import { requirePassword } from '../../http/reauthentication.ts';
import { callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { steppedUp } from '../../http/step-up.ts';
import { mfaStatusAnswer, mfaStatusContract, sessionStepUpBody, steppedUpAnswer } from './contract.ts';

export const sessionStepUpRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/auth/step-up',
      {
        schema: {
          summary: 'Prove a factor again: a token for sensitive calls',
          description:
            'A password proves the first factor (`acr` aal1), a code the second (aal2). `verification_token` is an access token of this session with the new `acr` and `auth_time`; the session itself and its refresh keep what they had.',
          tags: ['Second factors'],
          security: [{ bearerAuth: [] }],
          body: sessionStepUpBody,
          response: { 200: steppedUpAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const caller = callerOf(request, s);
        const { account, session } = live;
        const { password, code } = request.body;
        if (password !== undefined) await requirePassword(s, account.id, password, caller);
        const first = password === undefined ? [] : ['pwd'];
        if (code === undefined) {
          return { method: 'password', ...(await steppedUp(s, live, { factor: null, amr: first }, caller)) };
        }
        await s.limits.secondFactor({ network: caller.network });
        const asked = { accountId: account.id, sessionId: session.id, code: typedCode(code) };
        const factor = await s.checkFactor(asked, caller);
        const amr = [...first, ...s.factors.amrOf(factor)];
        return { method: factor.kind, ...(await steppedUp(s, live, { factor, amr }, caller)) };
      },
    );

    app.get(
      '/v1/mfa/status',
      {
        schema: {
          summary: 'Second factors of one’s own account',
          tags: ['Second factors'],
          security: [{ bearerAuth: [] }],
          response: { 200: mfaStatusAnswer, ...problemsFor(401, 429, 503) },
        },
      },
      async (request) => {
        const { account, mfa, pinSet } = await authenticate(request, s);
        return mfaStatusContract({ id: account.id, mfa, pinSet }, await s.factorRows.list(account.id));
      },
    );
  };
