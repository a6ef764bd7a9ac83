/** Codes by e-mail for other services, and the signed proof they rely on: a thin facade over the challenge machine. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { checkedCode, problemsFor } from '../../http/flow-answers.ts';
import { callerOf, mint } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { capitalsOf, type Email, parseEmail } from '../../kernel/identifiers/index.ts';
import { Problem } from '../../kernel/problems.ts';
import { sendCodeAnswer, sendCodeBody, verifyCodeAnswer, verifyCodeBody } from './contract.ts';
import { type ProofFields, proofToken, signProof } from './identity-proof.ts';

export const identityProofRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { engine, keyring, limits, proofs } = s;
    const ttlMs = s.config.flow.challengeTtlS * 1000;
    const contactId = (email: Email) => keyring.lookupId('email', email.canonical);

    app.get(
      '/api/v1/health',
      {
        schema: {
          summary: 'Health check',
          tags: ['Identity proofs'],
          security: [],
          response: { 200: z.object({ status: z.literal('ok') }) },
        },
      },
      async () => ({ status: 'ok' as const }),
    );

    app.post(
      '/api/v1/auth/send-code',
      {
        config: { sends: { machine: 'challenge', event: 'CODE_REQUESTED', for: { purpose: 'proof' } } },
        schema: {
          summary: 'Send a code to an address',
          tags: ['Identity proofs'],
          security: [],
          body: sendCodeBody,
          response: { 200: sendCodeAnswer, ...problemsFor(400, 429, 503) },
        },
      },
      async (request) => {
        const email = parseEmail(request.body.email);
        const project = request.body.project_id.normalize('NFC');
        const caller = callerOf(request, s);
        const { suppressed } = await limits.codeSend(
          {
            // Not per project: whoever asks makes its name up.
            purpose: 'proof',
            identifier: email.canonical,
            network: caller.network,
            networkClass: 'send-code',
          },
          caller,
        );
        await engine.open(
          'challenge',
          {
            flowId: mint(),
            tokenTtlMs: ttlMs,
            event: {
              type: 'CODE_REQUESTED',
              now: caller.now,
              contactId: contactId(email),
              accountId: null,
              audience: project,
              purpose: 'proof',
              terms: proofs.terms(null),
              suppressed,
              ttlMs,
              capitals: capitalsOf(email),
            },
            enclosures: {
              contact: {
                id: contactId(email),
                type: 'email',
                canonical: email.canonical,
                value: email.original,
              },
            },
          },
          caller,
        );
        return { message: 'A code has been sent.' };
      },
    );

    app.post(
      '/api/v1/auth/verify-code',
      {
        config: { sends: { machine: 'challenge', event: 'CODE_CHECKED', for: { purpose: 'proof' } } },
        schema: {
          summary: 'Exchange a code for a signed identity proof',
          tags: ['Identity proofs'],
          security: [],
          body: verifyCodeBody,
          response: { 200: verifyCodeAnswer, ...problemsFor(400, 401, 429, 503) },
        },
      },
      async (request) => {
        const { code, proof: form } = request.body;
        const email = parseEmail(request.body.email);
        const project = request.body.project_id.normalize('NFC');
        const caller = callerOf(request, s);
        await limits.codeCheck({ network: caller.network }, caller);
        const contact = contactId(email);
        await checkedCode(s, { token: null, name: contact, network: caller.network, now: caller.now }, () =>
          engine.send(
            'challenge',
            { contactId: contact, machine: 'challenge', purpose: `proof:${project}` },
            (loaded, view) => {
              const enclosures = proofs.codeBudget(loaded, { holder: false, network: caller.network });
              const verdict = proofs.codeVerdict(view, 'proof', code, false);
              return { enclosures, event: { type: 'CODE_CHECKED', now: caller.now, verdict, opens: null } };
            },
            caller,
          ),
        ).catch((error) => {
          throw refusedAlike(error);
        });
        const statement: ProofFields = {
          auth_user_id: contact,
          email: email.canonical,
          issued_at: Math.floor(caller.now / 1000),
          project_id: project,
          verified: true,
        };
        return {
          ...statement,
          signature: signProof(s.proofKey, statement),
          ...(form === 'jws'
            ? { identity_token: await proofToken(s.keys.keys(), s.config.jwt.issuer, statement) }
            : {}),
        };
      },
    );
  };

/** This contract answers 401 with one message for wrong, expired and too often. */
const refusedAlike = (error: unknown): unknown =>
  error instanceof Problem &&
  ['invalid_code', 'rate_limited'].includes(error.code) &&
  error.extras.headers === undefined
    ? new Problem('invalid_credentials', { detail: 'The code is wrong or no longer valid' }, { cause: error })
    : error;
