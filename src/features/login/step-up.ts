/** The answer to a login's step-up (L4): checked before anything is decided, counted durably. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Result } from '../../engine/engine.ts';
import { ownFlow, problemsFor } from '../../http/flow-answers.ts';
import { flowDoc, flowNamedBy } from '../../http/flow-requests.ts';
import { type Caller, callerOf, flowTokenOf, offerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import { revealLogin } from '../sessions/issue-tokens.ts';
import { deliverRefresh } from '../sessions/refresh-cookie.ts';
import { loginAnswer, loginContract, stepUpBody } from './contract.ts';

export const stepUpRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { config, engine, limits, proofs } = s;

    async function answered(token: string, pin: string, caller: Caller): Promise<Result> {
      await limits.secondFactor({ network: caller.network });
      const locator = flowNamedBy(token);
      // No hash for a login that waits for no answer.
      const { loaded } = await ownFlow(
        engine.ready(
          'login',
          locator,
          (read) => {
            proofs.holder(read, token, caller.now);
            proofs.pinBudget(read);
            return proofs.stepUpAnswered(read, read, 'pin', false, caller.now);
          },
          caller,
        ),
      );
      const matches = await s.hasher.verify(loaded.credential?.pinHash ?? null, pin);
      return engine.send(
        'login',
        locator,
        (fresh) => {
          proofs.holder(fresh, token, caller.now);
          proofs.pinBudget(fresh);
          return { event: proofs.stepUpAnswered(fresh, loaded, 'pin', matches, caller.now) };
        },
        caller,
      );
    }

    app.post(
      '/v1/auth/login/step-up',
      {
        config: { sends: { machine: 'login', event: 'STEP_UP_ANSWERED' } },
        schema: {
          ...flowDoc('Login', 'Answer the step-up (L4)'),
          body: stepUpBody,
          response: { 200: loginAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const caller = callerOf(request, s);
        const token = flowTokenOf(request, request.body.flow_token);
        if (token === null) throw new Problem('unauthenticated');
        const { flow, loaded } =
          (await engine.replay('login', caller)) ?? (await answered(token, request.body.pin, caller));
        if (flow.tags.has('step-up'))
          throw new Problem('invalid_credentials', {
            state: flow.state,
            next: s.actions.next(flow, caller.now),
          });
        const revealed = await revealLogin(s, flow, loaded?.account?.roles);
        const given = deliverRefresh(reply, config, request.body.token_transport, revealed);
        return loginContract(flow, offerOf(s, caller), given, null);
      },
    );
  };
