/** S2: the password, and a PIN if wanted. Hashed before anything is decided, but only for a flow that takes one. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { LoadedFlow } from '../../../db/flows.ts';
import { acceptPassword } from '../../engine/new-password.ts';
import { openToken, ownFlow, problemsFor } from '../../http/flow-answers.ts';
import { callerOf, flowTokenOf, offerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { signupKit } from '../../http/signup-kit.ts';
import { checkPin } from '../../kernel/passwords/policy.ts';
import { Problem } from '../../kernel/problems.ts';
import { setPasswordBody, signupAnswer, signupContract } from './contract.ts';

export const signupCredentialRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { engine, limits, proofs } = s;
    const { phoneOf, contactId, tokenTtlMs, doc, locate } = signupKit(s);

    app.post(
      '/v1/auth/signup/set-password',
      {
        config: { sends: { machine: 'signup', event: 'PASSWORD_SET' } },
        schema: {
          ...doc('Set the password, and a PIN if wanted (S2)'),
          body: setPasswordBody,
          response: { 200: signupAnswer, ...problemsFor(400, 401, 409, 422, 429, 503) },
        },
      },
      async (request) => {
        const { password, pin } = request.body;
        const phone = request.body.phone === undefined ? undefined : phoneOf(request.body.phone).e164;
        const caller = callerOf(request, s);
        const earlier = await engine.replay('signup', caller);
        if (earlier) return signupContract(earlier.flow, offerOf(s, caller), openToken(s, earlier.flow));
        const token = flowTokenOf(request, request.body.flow_token);
        const locator = locate(token, phone);
        if (token === null) proofs.mayName(phone);
        const event = (read: LoadedFlow) => ({
          type: 'PASSWORD_SET' as const,
          now: caller.now,
          presented: proofs.holder(read, token, caller.now) ? ('token' as const) : ('grant' as const),
          pinSet: pin !== undefined,
          tokenTtlMs,
        });
        const { loaded } = await ownFlow(
          engine.ready(
            'signup',
            locator,
            (read) => {
              if (phone !== undefined) proofs.sameContact(read, contactId(phone));
              return event(read);
            },
            caller,
          ),
        );
        await limits.setPassword({ flowId: loaded.flow.id, network: caller.network });
        const known = loaded.contact?.canonical ?? '';
        const weakPin =
          pin === undefined ? [] : checkPin(pin, { birthDate: null, phone: known, pointer: '/body/pin' });
        if (weakPin.length) throw new Problem('weak_pin', { errors: weakPin });
        const { accountId } = loaded.flow;
        if (accountId === null) throw new Error('a sign-up without an account takes no password');
        const [passwordHash, pinHash] = await Promise.all([
          acceptPassword(s, password, { accountId, context: [known] }),
          pin === undefined ? null : s.hasher.hash(pin, accountId),
        ]);
        const { flow } = await engine.send(
          'signup',
          { id: loaded.flow.id },
          (fresh) => ({
            event: event(fresh),
            enclosures: { credentials: { passwordHash, pinHash } },
          }),
          caller,
        );
        return signupContract(flow, offerOf(s, caller), openToken(s, flow));
      },
    );
  };
