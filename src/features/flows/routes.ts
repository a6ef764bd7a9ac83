/** Any flow as its owner may see it: where it rests, what it accepts, what it refuses and why. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { isMachineId } from '../../../machines/index.ts';
import { actionSchema, flowFields } from '../../http/actions.ts';
import { authenticate } from '../../http/authenticate.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import { bearerOf, callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { parseFlowToken } from '../../kernel/crypto/flow-token.ts';
import { Problem } from '../../kernel/problems.ts';

const flowAnswer = z
  .object({
    ...flowFields,
    machine: z.string(),
    version: z.number().describe('Steps committed so far'),
    done: z.boolean(),
    account_tier: z.string().nullable(),
    allowed: z.array(actionSchema),
    refused: z.array(z.object({ event: z.string(), reason: z.string() })),
    expires_at: z.string().nullable(),
    state_entered_at: z.string(),
  })
  .meta({ id: 'Flow' });

export const flowRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    app.get(
      '/v1/flows/:flow_id',
      {
        schema: {
          summary: 'State of a flow, what it accepts and what it refuses',
          tags: ['Flows'],
          security: [{ flowToken: [] }, { bearerAuth: [] }],
          params: z.strictObject({ flow_id: z.uuid() }),
          response: { 200: flowAnswer, ...problemsFor(400, 401, 404, 409, 503) },
        },
      },
      async (request) => {
        const caller = callerOf(request, s);
        const token = bearerOf(request);
        if (token === null) throw new Problem('unauthenticated');
        const id = request.params.flow_id;
        const isFlowToken = parseFlowToken(token) !== null;
        const owner = isFlowToken ? null : (await authenticate(request, s)).account.id;
        const loaded = await s.flows.load({ id }, { deviceId: null, now: new Date(caller.now) });
        if (!loaded || !isMachineId(loaded.flow.machine)) throw new Problem('not_found');
        if (isFlowToken && parseFlowToken(token)?.flowId !== id) throw new Problem('not_found');
        if (isFlowToken) s.proofs.holder(loaded, token, caller.now);
        else if (loaded.flow.accountId !== owner) throw new Problem('not_found');
        const { view } = await s.engine.read(loaded.flow.machine, { id }, caller);
        const next = s.actions.next(view, caller.now);
        return {
          flow_id: view.id,
          machine: view.machine,
          version: view.version,
          state: view.state,
          done: view.done,
          account_tier: view.tier,
          next,
          allowed: next,
          refused: s.actions.refused(view, caller.now),
          expires_at: view.dueAt === null ? null : new Date(view.dueAt).toISOString(),
          state_entered_at: view.stateEnteredAt.toISOString(),
        };
      },
    );
  };
