/** Sign-up by e-mail: register, prove the address, ask for another code. Answers tell nothing about other accounts. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Locator } from '../../../db/flows.ts';
import { openToken, problemsFor } from '../../http/flow-answers.ts';
import { flowDoc, flowNamedBy } from '../../http/flow-requests.ts';
import { callerOf, flowTokenOf, offerOf, phoneReader } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { sayWhenToAsk } from '../../http/waiting.ts';
import { parseEmail } from '../../kernel/identifiers/index.ts';
import { Problem } from '../../kernel/problems.ts';
import { loginContract } from '../login/contract.ts';
import { revealLogin } from '../sessions/issue-tokens.ts';
import { deliverRefresh } from '../sessions/refresh-cookie.ts';
import { refuseBlocked, signupAnswer, signupContract } from './contract.ts';
import { goesOn } from './goes-on.ts';
import { askForAnotherCode, enterEmailCode, registerByEmail } from './registration.ts';
import {
  RESENT,
  registerAnswer,
  registerBody,
  registerContract,
  resendVerificationAnswer,
  resendVerificationBody,
  verifyEmailBody,
} from './registration-contract.ts';

export const registrationRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { config, keyring, limits } = s;
    const phoneOf = phoneReader(config);
    const contactId = (canonical: string) => keyring.lookupId('email', canonical);
    const doc = (summary: string, description: string) => flowDoc('Sign-up', summary, description);

    app.post(
      '/v1/auth/register',
      {
        config: {
          sends: { machine: 'signup', event: 'REGISTERED', offered: false },
          follows: [
            {
              machine: 'signup',
              states: ['abandoned', 'expired'],
              as: 'REGISTERED',
              for: { entry: 'email' },
            },
            {
              machine: 'login',
              states: ['L6_result.ONBOARDING_REQUIRED'],
              as: 'REGISTERED',
              for: { entry: 'email' },
            },
          ],
        },
        schema: {
          ...doc(
            'Register with an e-mail address and a password',
            'The answer is the same for an address that already has an account: 201, not 409. Only its owner learns of it, by a mail. The address belongs to the first person who enters the code.',
          ),
          security: [],
          body: registerBody,
          response: { 201: registerAnswer, ...problemsFor(400, 422, 429, 503) },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const email = parseEmail(body.email);
        const caller = callerOf(request, s);
        const flow = await registerByEmail(
          s,
          {
            email,
            password: body.password,
            name: body.name,
            phone: body.phone === undefined ? '' : phoneOf(body.phone).e164,
            timezone: body.timezone,
            locale: body.locale ?? caller.envelope.language ?? 'en-US',
          },
          caller,
        );
        reply.code(201);
        return registerContract(flow, offerOf(s, caller), {
          email: email.original,
          token: openToken(s, flow) ?? '',
          expiresInS: config.code.emailTtlS,
        });
      },
    );

    app.post(
      '/v1/auth/resend-verification',
      {
        config: { sends: { machine: 'signup', event: 'CODE_REQUESTED', for: { entry: 'email' } } },
        schema: {
          ...doc(
            'Ask for another verification code; invalidates the previous one',
            'Always the same answer; the event is sent once the answer is on its way.',
          ),
          security: [],
          body: resendVerificationBody,
          response: { 202: resendVerificationAnswer, ...problemsFor(400, 429, 503) },
        },
      },
      async (request, reply) => {
        const { email, user_id: userId = '' } = request.body;
        const who = email === undefined ? { userId } : { email: parseEmail(email) };
        await askForAnotherCode(s, who, callerOf(request, s));
        reply.code(202);
        return RESENT;
      },
    );

    /** The flow the code is for: by its token, by the account it opened, or by an address that leaves no doubt. */
    async function locate(
      token: string | null,
      userId: string | undefined,
      contact: string,
    ): Promise<Locator> {
      if (token !== null) return flowNamedBy(token);
      if (userId !== undefined) return { accountId: userId, machine: 'signup' };
      const only = await s.flows.registrationOf(contact);
      if (only === null) throw new Problem('not_found');
      return { id: only };
    }

    app.post(
      '/v1/auth/verify-email',
      {
        config: { sends: { machine: 'signup', event: 'CODE_CHECKED', for: { entry: 'email' } } },
        schema: {
          ...doc(
            'Prove the e-mail address with the code of the mail; logs in once LIMITED is reached',
            'Wrong, expired, used and unknown look alike. By the address alone, without the token or `user_id`, ' +
              'what was registered is discarded, since another person may have chosen the password: `next` asks ' +
              'for a password and the profile.',
          ),
          body: verifyEmailBody,
          response: { 200: signupAnswer, 202: signupAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const caller = callerOf(request, s, { deviceId: body.device_fingerprint });
        const token = flowTokenOf(request, body.flow_token);
        await limits.codeCheck({ network: caller.network }, caller);
        const contact = body.email === undefined ? '' : contactId(parseEmail(body.email).canonical);
        const name = body.user_id ?? contact;
        if (token === null && name === '') throw new Problem('unauthenticated');
        const { flow, opened } = await enterEmailCode(
          s,
          {
            code: body.code,
            name,
            locate: () => locate(token, body.user_id, contact),
            byAddress: token === null && body.user_id === undefined,
            token,
            session: { persistent: body.persist_session },
          },
          caller,
        );
        refuseBlocked(flow);
        const login = opened[0];
        const revealed = login ? await revealLogin(s, login) : null;
        const given = deliverRefresh(reply, config, body.token_transport, revealed);
        const result = login ? loginContract(login, offerOf(s, caller), given, null) : {};
        const { shown, reveals } = await goesOn(s, flow, caller);
        sayWhenToAsk(reply, shown);
        reply.code(shown.tier === 'LIMITED' || shown.done ? 200 : 202);
        return { ...result, ...signupContract(shown, offerOf(s, caller), reveals), verified: true };
      },
    );
  };
