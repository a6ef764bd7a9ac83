/** Step-up of a session that is open (RFC 9470), and what factors it has. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { authenticate } from '../../http/authenticate.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import { typedCode } from '../../http/inputs.ts';
import { assertionOf } from '../../http/passkey-inputs.ts';
import { requirePassword } from '../../http/reauthentication.ts';
import { callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { steppedUp } from '../../http/step-up.ts';
import { Problem } from '../../kernel/problems.ts';
import {
  mfaStatusAnswer,
  mfaStatusContract,
  sessionPasskeyOptions,
  sessionStepUpBody,
  steppedUpAnswer,
} from './contract.ts';

export const sessionStepUpRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.post(
      '/v1/auth/step-up',
      {
        schema: {
          summary: 'Prove a factor again: a token for sensitive calls',
          description:
            'A password proves the first factor (`acr` aal1), a code the second (aal2), a passkey both. `verification_token` is an access token of this session with the new `acr` and `auth_time`; the session itself and its refresh keep what they had.',
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
        const { password, code, passkey } = request.body;
        if (password !== undefined) await requirePassword(s, account.id, password, caller);
        const first = password === undefined ? [] : ['pwd'];
        const answer =
          passkey !== undefined
            ? s.passkeys.judge(assertionOf(passkey), ['step_up', session.id], caller.now)
            : code !== undefined
              ? typedCode(code)
              : null;
        if (answer === null) {
          return { method: 'password', ...(await steppedUp(s, live, { factor: null, amr: first }, caller)) };
        }
        await s.limits.secondFactor({ network: caller.network });
        const asked = { accountId: account.id, sessionId: session.id, code: answer };
        const factor = await s.checkFactor(asked, caller);
        const amr = [...first, ...s.factors.amrOf(factor)];
        return { method: factor.kind, ...(await steppedUp(s, live, { factor, amr }, caller)) };
      },
    );

    app.post(
      '/v1/auth/step-up/passkey-options',
      {
        schema: {
          summary: 'Options for a step-up by passkey',
          tags: ['Second factors'],
          security: [{ bearerAuth: [] }],
          response: { 200: sessionPasskeyOptions, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const { account, session } = await authenticate(request, s);
        const { now } = callerOf(request, s);
        const known = (await s.factorRows.ofAccount(account.id, new Date(now))).factors.filter(
          ({ kind, state }) => kind === 'passkey' && state === 'active',
        );
        if (known.length === 0) throw new Problem('conflict', { detail: 'The account has no passkey.' });
        const options = await s.passkeys.authentication(['step_up', session.id], now, known);
        return { options: { ...options }, expires_in: s.config.flow.challengeTtlS };
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
