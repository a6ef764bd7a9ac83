/** S6 to S8: submit a document, read its status, take the provider's verdict and a reviewer's decision. */
import { hash, timingSafeEqual } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { numberContext } from '../../../db/kyc.ts';
import { kycVerdictSchema, toKycVerdict } from '../../adapters/kyc-verdict.ts';
import { createWebhookVerifier } from '../../adapters/webhook-signature.ts';
import { authenticate } from '../../http/authenticate.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import { bearerOf, type Caller, callerOf, mint, offerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { registerRawJson } from '../../http/strict-json.ts';
import { sayWhenToAsk } from '../../http/waiting.ts';
import { Problem } from '../../kernel/problems.ts';
import {
  canonicalNumber,
  kycAnswer,
  kycContract,
  reviewAnswer,
  reviewBody,
  submitKycBody,
  webhookAnswer,
} from './contract.ts';
import { createVerdicts } from './verdicts.ts';

export const kycRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { engine } = s;
    const verdicts = createVerdicts(s);
    const statusOf = async (accountId: string, caller: Caller, reply: FastifyReply) => {
      const [{ view }, record] = await Promise.all([
        engine.read('signup', { accountId, machine: 'signup' }, caller),
        s.kyc.latestOf(accountId),
      ]);
      sayWhenToAsk(reply, view);
      return kycContract(view, record, offerOf(s, caller));
    };

    app.post(
      '/v1/kyc',
      {
        config: { sends: { machine: 'signup', event: 'KYC_SUBMITTED' } },
        schema: {
          summary: 'Submit an identity document (S6)',
          description:
            'The decision comes later: ask `GET /v1/kyc` after `poll_after` seconds. One document verifies one account: when another account was verified with it, the status becomes REJECTED with the reason `document_in_use`, and the person logs in to that account or asks the operator.',
          tags: ['KYC'],
          security: [{ bearerAuth: [] }],
          body: submitKycBody,
          response: { 202: kycAnswer, ...problemsFor(400, 401, 403, 404, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { account } = await authenticate(request, s, 'kyc:write');
        const caller = callerOf(request, s);
        const kycId = mint();
        const { document_type: documentType } = request.body;
        const number = canonicalNumber(request.body.document_number);
        const numberSealed = await s.kms.encrypt(number, numberContext({ id: kycId, accountId: account.id }));
        const { flow } = await engine.send(
          'signup',
          { accountId: account.id, machine: 'signup' },
          () => ({
            event: { type: 'KYC_SUBMITTED', now: caller.now, kycId },
            enclosures: {
              kyc: {
                documentType,
                numberSealed,
                numberHash: s.keyring.lookupHash(`kyc:${documentType}`, number),
                numberLast4: number.slice(-4),
              },
            },
          }),
          caller,
        );
        reply.code(202);
        sayWhenToAsk(reply, flow);
        // As committed: by now the provider may already have answered.
        const submitted = {
          documentType,
          numberLast4: number.slice(-4),
          submittedAt: flow.stateEnteredAt,
          decidedAt: null,
          reason: null,
        };
        return kycContract(flow, submitted, offerOf(s, caller));
      },
    );

    app.get(
      '/v1/kyc',
      {
        schema: {
          summary: 'KYC status, reason, and whether another try is possible',
          tags: ['KYC'],
          security: [{ bearerAuth: [] }],
          response: { 200: kycAnswer, ...problemsFor(401, 403, 404, 409, 503) },
        },
      },
      async (request, reply) => {
        const { account } = await authenticate(request, s);
        return statusOf(account.id, callerOf(request, s), reply);
      },
    );

    app.register(async (scope) => {
      const verifier = createWebhookVerifier({ secrets: s.webhookSecrets });
      registerRawJson(scope, {
        verify: (request) => {
          const ok = verifier({
            timestamp: request.headers['x-vestibule-timestamp'],
            signature: request.headers['x-vestibule-signature'],
            rawBody: request.rawBody,
            nowMs: s.clock.now(),
          });
          if (!ok) throw new Problem('invalid_signature');
        },
      });
      (scope as typeof app).post(
        '/v1/webhooks/kyc',
        {
          config: { rawBody: true },
          schema: {
            summary: 'A KYC provider’s verdict (S7), signed over timestamp and raw body',
            tags: ['Webhooks'],
            security: [],
            body: kycVerdictSchema.meta({ id: 'KycVerdict' }),
            response: { 200: webhookAnswer, ...problemsFor(400, 401, 409, 429, 503) },
          },
        },
        async (request) => {
          const { envelope } = callerOf(request, s, { actor: 'provider' });
          return verdicts.kycVerdict(toKycVerdict(request.body), envelope);
        },
      );
    });

    app.post(
      '/v1/admin/reviews/:flow_id',
      {
        config: { sends: { machine: 'signup', event: 'REVIEW_DECIDED', offered: false } },
        schema: {
          summary: 'Decide a risk or KYC review',
          tags: ['Admin'],
          security: [{ bearerAuth: [] }],
          params: z.strictObject({ flow_id: z.uuid() }),
          body: reviewBody,
          response: { 200: reviewAnswer, ...problemsFor(400, 401, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const reviewer = requireAdmin(bearerOf(request), s.adminToken);
        const caller = callerOf(request, s, { actor: 'reviewer' });
        const { flow } = await verdicts.review(
          request.params.flow_id,
          { approve: request.body.decision === 'APPROVE', reviewer, reason: request.body.reason },
          caller,
        );
        return {
          flow_id: flow.id,
          state: flow.state,
          next: s.actions.next(flow, caller.now),
          account_tier: flow.tier,
        };
      },
    );
  };

/** Until roles arrive there is one administrator, known by a configured token. Returns its name for the record. */
function requireAdmin(presented: string | null, expected: string | null): string {
  if (presented === null) throw new Problem('unauthenticated');
  const digest = (text: string) => hash('sha256', text, 'buffer');
  if (expected === null || !timingSafeEqual(digest(presented), digest(expected)))
    throw new Problem('invalid_token');
  return 'bootstrap-admin';
}
