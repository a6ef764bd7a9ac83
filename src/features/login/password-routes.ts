/** Login by e-mail or phone and password. Until the password is right, known, unknown and blocked look and cost alike. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { openToken, problemsFor } from '../../http/flow-answers.ts';
import { nextAfterLogin } from '../../http/onboarding.ts';
import { callerOf, offerOf, phoneReader } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { parseEmail } from '../../kernel/identifiers/index.ts';
import { revealLogin } from '../sessions/issue-tokens.ts';
import { deliverRefresh } from '../sessions/refresh-cookie.ts';
import { passwordLoginAnswer, passwordLoginBody, passwordLoginContract } from './password-contract.ts';
import { logInByPassword } from './password-login.ts';

export const passwordLoginRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { config, keyring } = s;
    const phoneOf = phoneReader(config);

    app.post(
      '/v1/auth/login',
      {
        config: {
          sends: { machine: 'login', event: 'PRIMARY_PROVED' },
          follows: [{ machine: 'signup', states: ['registered'], as: 'LOGIN', for: { entry: 'email' } }],
        },
        schema: {
          summary: 'Log in with a password (L1 to L6)',
          tags: ['Login'],
          description:
            'After too many wrong passwords the account waits, ever longer, whichever of its identifiers is named; a device the account knows is counted apart, so that an attacker cannot lock its owner out. The refresh token goes into a cookie unless `token_transport` asks for the body.',
          security: [],
          body: passwordLoginBody,
          response: { 200: passwordLoginAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const contactId =
          body.email === undefined
            ? keyring.lookupId('phone', phoneOf(body.phone ?? '').e164)
            : keyring.lookupId('email', parseEmail(body.email).canonical);
        const caller = callerOf(request, s, { deviceId: body.device_fingerprint });
        await s.limits.passwordLogin({ network: caller.network }, caller);
        const { flow, login } = await logInByPassword(
          s,
          { contactId, password: body.password, persistent: body.persist_session, endsAt: null },
          caller,
        );
        const tokens = await revealLogin(s, flow, login.account?.roles);
        const revealed = deliverRefresh(reply, config, body.token_transport, tokens);
        const answer = passwordLoginContract(flow, offerOf(s, caller), {
          revealed,
          token: openToken(s, flow),
          login,
        });
        return { ...answer, next: await nextAfterLogin(s, flow, caller) };
      },
    );
  };
