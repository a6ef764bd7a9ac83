/** S3 to S5: the profile, the risk gate behind it, and the first tokens once LIMITED is reached. */
import type { FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { storeProfile } from '../../../db/credentials.ts';
import type { LoadedFlow, Locator } from '../../../db/flows.ts';
import { ageOn } from '../../adapters/risk-local.ts';
import { enclosed, type OwnEffects } from '../../engine/effects.ts';
import { authenticate } from '../../http/authenticate.ts';
import { ownFlow, problemsFor } from '../../http/flow-answers.ts';
import { flowNamedBy } from '../../http/flow-requests.ts';
import { type Caller, callerOf, flowTokenOf, mint, offerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { signupKit } from '../../http/signup-kit.ts';
import { sayWhenToAsk } from '../../http/waiting.ts';
import { parseFlowToken } from '../../kernel/crypto/flow-token.ts';
import { Problem } from '../../kernel/problems.ts';
import { loginContract } from '../login/contract.ts';
import { revealLogin } from '../sessions/issue-tokens.ts';
import { deliverRefresh } from '../sessions/refresh-cookie.ts';
import { profileBody, refuseBlocked, signupAnswer, signupContract } from './contract.ts';

const NOT_YET_BORN = {
  pointer: '/body/date_of_birth',
  code: 'in_the_future',
  message: 'must not be in the future',
};

/** What these steps ask for, as rows of the commit. Pure: no query, no clock. */
export const profileEffects = {
  storeProfile: (p, c) => {
    const profile = enclosed(c.enclosures.profile, 'profile');
    c.changes.rows.push(storeProfile(p.accountId, profile, c.changes.now));
  },
} satisfies OwnEffects;

export const signupProfileRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { config, engine, proofs } = s;
    const { doc } = signupKit(s);

    app.post(
      '/v1/auth/signup/profile',
      {
        config: { sends: { machine: 'signup', event: 'PROFILE_SUBMITTED' } },
        schema: {
          ...doc(
            'Complete the profile (S3); passes the risk gate (S4) into LIMITED (S5)',
            'With the token of the flow while the sign-up is under way. An account that became LIMITED without a ' +
              'profile (by e-mail, by balance_hub, by import) completes it at any time with its access token.',
          ),
          security: [{ flowToken: [] }, { bearerAuth: [] }, {}],
          body: profileBody,
          response: { 200: signupAnswer, 202: signupAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const caller = callerOf(request, s, { deviceId: body.device_id });
        const { locator, prove } = await senderOf(s, request, caller, body.flow_token);
        const [loginId, sessionId] = [mint(), mint()];
        const age = ageOn(body.date_of_birth ?? null, caller.now);
        if (age !== null && age < 0) throw new Problem('validation_failed', { errors: [NOT_YET_BORN] });
        const { flow, opened } = await ownFlow(
          engine.send(
            'signup',
            locator,
            (loaded, view) => {
              prove(loaded);
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
                    displayName: body.name ?? null,
                    firstName: body.first_name ?? null,
                    lastName: body.last_name ?? null,
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
        refuseBlocked(flow);
        sayWhenToAsk(reply, flow);
        const login = opened[0];
        const revealed = login ? await revealLogin(s, login) : null;
        const given = deliverRefresh(reply, config, body.token_transport, revealed);
        const result = login ? loginContract(login, offerOf(s, caller), given, null) : {};
        reply.code(flow.tier === 'LIMITED' || flow.done ? 200 : 202);
        return { ...result, ...signupContract(flow, offerOf(s, caller), null) };
      },
    );
  };

type Sender = { locator: Locator; prove(loaded: LoadedFlow): void };

/** Whose sign-up it is: by the token of the flow or, where there is an account with a session, by its access token. */
async function senderOf(
  s: Services,
  request: FastifyRequest,
  caller: Caller,
  fromBody: string | undefined,
): Promise<Sender> {
  const token = flowTokenOf(request, fromBody);
  if (token === null) throw new Problem('unauthenticated');
  if (parseFlowToken(token) === null && isJwt(token)) {
    const { account } = await authenticate(request, s, 'kyc:write');
    return { locator: { accountId: account.id, machine: 'signup' }, prove: () => {} };
  }
  return {
    locator: flowNamedBy(token),
    prove: (loaded) => {
      s.proofs.holder(loaded, token, caller.now);
    },
  };
}

/** Three parts of base64url (RFC 7515 section 7.1); a flow token has two. */
const isJwt = (token: string): boolean => /^[\w-]+\.[\w-]+\.[\w-]+$/.test(token);
