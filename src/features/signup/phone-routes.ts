/** Entry by phone: ask for a code, prove the phone, become a PreUser (S1). */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { isReservedPhone } from '../../adapters/reserved.ts';
import { checkedCode, openToken, ownFlow, problemsFor, refuseRepeated } from '../../http/flow-answers.ts';
import { callerOf, flowTokenOf, mint, offerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { signupKit } from '../../http/signup-kit.ts';
import { signupAnswer, signupContract, signupPhoneBody, signupVerifyBody } from './contract.ts';
import { goesOn } from './goes-on.ts';

export const signupPhoneRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { config, engine, limits, proofs } = s;
    const { phoneOf, contactId, tokenTtlMs, doc, locate } = signupKit(s);

    app.post(
      '/v1/auth/signup/phone',
      {
        config: {
          sends: { machine: 'signup', event: 'CODE_REQUESTED', for: { entry: 'phone' } },
          follows: [
            {
              machine: 'signup',
              states: ['abandoned', 'expired'],
              as: 'PHONE_SUBMITTED',
              for: { entry: 'phone' },
            },
            {
              machine: 'login',
              states: ['L6_result.ONBOARDING_REQUIRED'],
              as: 'PHONE_SUBMITTED',
              for: { entry: 'phone' },
            },
          ],
        },
        schema: {
          ...doc(
            'Start a sign-up, or resend its code',
            'Without the token of a flow it sends `PHONE_SUBMITTED`.',
          ),
          body: signupPhoneBody,
          response: { 200: signupAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const phone = phoneOf(request.body.phone);
        const caller = callerOf(request, s);
        const token = flowTokenOf(request, request.body.flow_token);
        const { suppressed } = await limits.codeSend(
          {
            purpose: 'signup',
            identifier: phone.e164,
            network: caller.network,
            range: phone.range,
            country: phone.country,
          },
          caller,
        );
        const asked = { now: caller.now, terms: proofs.terms(phone.e164), suppressed };
        const { flow } =
          token === null
            ? await engine.open(
                'signup',
                {
                  flowId: mint(),
                  tokenTtlMs,
                  event: {
                    type: 'PHONE_SUBMITTED',
                    ...asked,
                    contactId: contactId(phone.e164),
                    ttlMs: config.flow.signupTtlDays * 86_400_000,
                    restart: config.demo && isReservedPhone(phone.e164),
                  },
                  enclosures: {
                    contact: {
                      id: contactId(phone.e164),
                      type: 'phone',
                      canonical: phone.e164,
                      value: phone.e164,
                    },
                  },
                },
                caller,
              )
            : await ownFlow(
                engine.send(
                  'signup',
                  locate(token),
                  (loaded) => {
                    proofs.holder(loaded, token, caller.now);
                    proofs.sameContact(loaded, contactId(phone.e164));
                    return { event: { type: 'CODE_REQUESTED', ...asked } };
                  },
                  caller,
                ),
              );
        return {
          ...signupContract(flow, offerOf(s, caller), openToken(s, flow)),
          phone: phone.e164,
          status: 'OTP_SENT',
          expires_in: config.code.ttlS,
        };
      },
    );

    app.post(
      '/v1/auth/signup/verify-otp',
      {
        config: { sends: { machine: 'signup', event: 'CODE_CHECKED', for: { entry: 'phone' } } },
        schema: {
          ...doc('Prove the phone; creates the PreUser (S1)'),
          body: signupVerifyBody,
          response: { 200: signupAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const phone = phoneOf(request.body.phone);
        const caller = callerOf(request, s);
        const token = flowTokenOf(request, request.body.flow_token);
        await limits.codeCheck({ network: caller.network }, caller);
        const accountId = mint();
        const { flow } = await checkedCode(
          s,
          {
            token,
            name: contactId(phone.e164),
            network: caller.network,
            now: caller.now,
            showsLock: proofs.showsLock(phone.e164),
          },
          () =>
            engine.send(
              'signup',
              locate(token, phone.e164),
              (loaded, view) => {
                refuseRepeated(s, { loaded, view, token, now: caller.now });
                const holder = proofs.holder(loaded, token, caller.now);
                proofs.sameContact(loaded, contactId(phone.e164));
                const enclosures = proofs.codeBudget(loaded, { holder, network: caller.network });
                return {
                  enclosures,
                  event: {
                    type: 'CODE_CHECKED',
                    now: caller.now,
                    verdict: proofs.codeVerdict(view, 'signup', request.body.otp, holder),
                    owner: proofs.owner(loaded),
                    accountId,
                    grant: config.demo && isReservedPhone(phone.e164),
                    tokenTtlMs,
                    risk: proofs.risk({ age: null, codeRetries: 0, phone: phone.e164 }, caller.now),
                    login: null,
                  },
                };
              },
              caller,
            ),
        );
        const { shown, reveals } = await goesOn(s, flow, caller);
        return { ...signupContract(shown, offerOf(s, caller), reveals), phone: phone.e164, verified: true };
      },
    );
  };
