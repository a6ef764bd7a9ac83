/** The sign-up as its owner sees it, from any step: where it stands, and cancelling it. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { ownFlow, problemsFor } from '../../http/flow-answers.ts';
import { callerOf, flowTokenOf, offerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { signupKit } from '../../http/signup-kit.ts';
import { sayWhenToAsk } from '../../http/waiting.ts';
import { Problem } from '../../kernel/problems.ts';
import { signupAnswer, signupContract } from './contract.ts';

export const signupRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { engine, proofs } = s;
    const { doc, locate } = signupKit(s);

    app.get(
      '/v1/auth/signup',
      {
        schema: {
          ...doc(
            'Where am I, what is missing, what may I do next, until when',
            'Reads the flow; sends nothing.',
          ),
          response: { 200: signupAnswer, ...problemsFor(401, 409, 503) },
        },
      },
      async (request, reply) => {
        const caller = callerOf(request, s);
        const token = flowTokenOf(request);
        if (token === null) throw new Problem('unauthenticated');
        const { loaded, view } = await ownFlow(engine.read('signup', locate(token), caller));
        proofs.holder(loaded, token, caller.now);
        sayWhenToAsk(reply, view);
        return signupContract(view, offerOf(s, caller), null);
      },
    );

    app.delete(
      '/v1/auth/signup',
      {
        config: { sends: { machine: 'signup', event: 'ABANDON' } },
        schema: {
          ...doc('Cancel the sign-up'),
          response: { 200: signupAnswer, ...problemsFor(401, 409, 503) },
        },
      },
      async (request) => {
        const caller = callerOf(request, s);
        const token = flowTokenOf(request);
        if (token === null) throw new Problem('unauthenticated');
        const { flow } = await ownFlow(
          engine.send(
            'signup',
            locate(token),
            (loaded) => {
              proofs.holder(loaded, token, caller.now);
              return { event: { type: 'ABANDON', now: caller.now } };
            },
            caller,
          ),
        );
        return signupContract(flow, offerOf(s, caller), null);
      },
    );
  };
