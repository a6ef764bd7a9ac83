/** S3 to S5: the profile, the risk gate behind it, and the first tokens once LIMITED is reached. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { ageOn } from '../../adapters/risk-local.ts';
import { ownFlow, problemsFor } from '../../http/flow-answers.ts';
import { callerOf, flowTokenOf, mint, offerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { signupKit } from '../../http/signup-kit.ts';
import { Problem } from '../../kernel/problems.ts';
import { loginContract } from '../login/contract.ts';
import { revealLogin } from '../sessions/issue-tokens.ts';
import { deliverRefresh } from '../sessions/refresh-cookie.ts';
import { profileBody, signupAnswer, signupContract } from './contract.ts';

const NOT_YET_BORN = {
  pointer: '/body/date_of_birth',
  code: 'in_the_future',
  message: 'must not be in the future',
};

export const signupProfileRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { config, engine, proofs } = s;
    const { doc, locate } = signupKit(s);

    app.post(
      '/v1/auth/signup/profile',
      {
        config: { sends: { machine: 'signup', event: 'PROFILE_SUBMITTED' } },
        schema: {
          ...doc('Complete the profile (S3); passes the risk gate (S4) into LIMITED (S5)'),
          body: profileBody,
          response: { 200: signupAnswer, 202: signupAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const caller = callerOf(request, s, { deviceId: body.device_id });
        const token = flowTokenOf(request, body.flow_token);
        if (token === null) throw new Problem('unauthenticated');
        const [loginId, sessionId] = [mint(), mint()];
        const age = ageOn(body.date_of_birth ?? null, caller.now);
        if (age !== null && age < 0) throw new Problem('validation_failed', { errors: [NOT_YET_BORN] });
        const { flow, opened } = await ownFlow(
          engine.send(
            'signup',
            locate(token),
            (loaded, view) => {
              proofs.holder(loaded, token, caller.now);
              const codeRetries = Number(view.context.codeRetries);
              const phone = loaded.contact?.type === 'phone' ? loaded.contact.canonical : null;
              return {
                event: {
                  type: 'PROFILE_SUBMITTED',
                  now: caller.now,
                  risk: proofs.risk({ age, codeRetries, phone }, caller.now),
                  login: {
                    flowId: loginId,
                    event: proofs.signupLogin(loaded, {
                      now: caller.now,
                      sessionId,
                      deviceId: caller.deviceId,
                      persistent: body.persist_session,
                    }),
                  },
                },
                enclosures: {
                  profile: {
                    firstName: body.first_name,
                    lastName: body.last_name,
                    birthDate: body.date_of_birth ?? null,
                    address: (body.address as Record<string, string> | undefined) ?? null,
                    timezone: body.timezone ?? null,
                    locale: body.locale ?? null,
                    complete: true,
                  },
                },
              };
            },
            caller,
          ),
        );
        const login = opened[0];
        const revealed = login ? await revealLogin(s, login) : null;
        const given = deliverRefresh(reply, config, body.token_transport, revealed);
        const result = login ? loginContract(login, offerOf(s, caller), given, null) : {};
        reply.code(flow.tier === 'LIMITED' || flow.done ? 200 : 202);
        return { ...result, ...signupContract(flow, offerOf(s, caller), null) };
      },
    );
  };
