/** Login by passkey: options that name no account, and the assertion that logs in. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { openToken, ownFlow, problemsFor } from '../../http/flow-answers.ts';
import { flowDoc, flowNamedBy } from '../../http/flow-requests.ts';
import { nextAfterLogin } from '../../http/onboarding.ts';
import { assertionOf } from '../../http/passkey-inputs.ts';
import { callerOf, flowTokenOf, offerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import { revealLogin } from '../sessions/issue-tokens.ts';
import { deliverRefresh } from '../sessions/refresh-cookie.ts';
import { stepUpChallenge, waysOf } from './answer-factor.ts';
import {
  loginAnswer,
  loginContract,
  passkeyLoginBody,
  passkeyOptionsAnswer,
  stepUpOptionsBody,
} from './contract.ts';
import { logInByPasskey } from './passkey-login.ts';

export const passkeyLoginRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const expiresIn = s.config.flow.challengeTtlS;

    app.post(
      '/v1/auth/passkey/options',
      {
        schema: {
          summary: 'Options for a login by passkey',
          description:
            'For `navigator.credentials.get()`, also conditional. They name no account: the authenticator finds it.',
          tags: ['Login'],
          security: [],
          response: { 200: passkeyOptionsAnswer, ...problemsFor(400, 429, 503) },
        },
      },
      async (request) => {
        const { now } = callerOf(request, s);
        return { options: { ...(await s.passkeys.authentication(['login'], now)) }, expires_in: expiresIn };
      },
    );

    app.post(
      '/v1/auth/passkey',
      {
        config: { sends: { machine: 'login', event: 'PRIMARY_PROVED', offered: false } },
        schema: {
          summary: 'Log in with a passkey (L1 to L6)',
          description:
            'A passkey verifies its user: two factors by itself (`acr` aal2). A challenge works once.',
          tags: ['Login'],
          security: [],
          body: passkeyLoginBody,
          response: { 200: loginAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { credential, device_id: deviceId, persist_session: persistent, ...rest } = request.body;
        const caller = callerOf(request, s, { deviceId });
        await s.limits.passwordLogin({ network: caller.network }, caller);
        const login = { response: assertionOf(credential), persistent };
        const { flow, roles } = await logInByPasskey(s, login, caller);
        const tokens = await revealLogin(s, flow, roles);
        const revealed = deliverRefresh(reply, s.config, rest.token_transport, tokens);
        const answer = loginContract(flow, offerOf(s, caller), revealed, openToken(s, flow));
        return { ...answer, next: await nextAfterLogin(s, flow, caller) };
      },
    );

    app.post(
      '/v1/auth/login/passkey-options',
      {
        schema: {
          ...flowDoc('Login', 'Options for a passkey as the answer to the step-up (L4)'),
          body: stepUpOptionsBody,
          response: { 200: passkeyOptionsAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const caller = callerOf(request, s);
        const token = flowTokenOf(request, request.body?.flow_token);
        if (token === null) throw new Problem('unauthenticated');
        const { loaded, view } = await ownFlow(
          s.engine.ready(
            'login',
            flowNamedBy(token),
            (read) => {
              s.proofs.holder(read, token, caller.now);
              return s.proofs.noAnswer(read, caller.now);
            },
            caller,
          ),
        );
        const known = waysOf(s, loaded, view).filter(({ kind }) => kind === 'passkey');
        if (known.length === 0)
          throw new Problem('conflict', { detail: 'No passkey answers this login: see `factors`.' });
        const options = await s.passkeys.authentication(stepUpChallenge(loaded), caller.now, known);
        return { options: { ...options }, expires_in: expiresIn };
      },
    );
  };
