/** Login by phone: a code challenge that opens the login machine. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { checkedCode, openToken, ownFlow, problemsFor } from '../../http/flow-answers.ts';
import { flowDoc, flowNamedBy } from '../../http/flow-requests.ts';
import { nextAfterLogin } from '../../http/onboarding.ts';
import { callerOf, flowTokenOf, mint, offerOf, phoneReader } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import { revealLogin } from '../sessions/issue-tokens.ts';
import { deliverRefresh } from '../sessions/refresh-cookie.ts';
import { loginAnswer, loginContract, sendOtpAnswer, sendOtpBody, verifyOtpBody } from './contract.ts';

export const loginRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { config, engine, keyring, limits, proofs } = s;
    const phoneOf = phoneReader(config);
    const contactId = (e164: string) => keyring.lookupId('phone', e164);

    app.post(
      '/v1/auth/send-otp',
      {
        config: {
          sends: { machine: 'challenge', event: 'CODE_REQUESTED', for: { purpose: 'login' } },
          follows: [
            { machine: 'signup', states: ['registered'], as: 'LOGIN', for: { entry: 'phone' } },
            { machine: 'challenge', states: ['expired'], as: 'CODE_REQUESTED', for: { purpose: 'login' } },
          ],
        },
        schema: {
          ...flowDoc('Login', 'Send a login code to a phone'),
          body: sendOtpBody,
          response: { 200: sendOtpAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const phone = phoneOf(request.body.phone);
        const caller = callerOf(request, s);
        const token = flowTokenOf(request, request.body.flow_token);
        const contact = contactId(phone.e164);
        const { suppressed } = await limits.codeSend(
          {
            purpose: 'login',
            identifier: phone.e164,
            network: caller.network,
            range: phone.range,
            country: phone.country,
            hasAccount: async () => (await s.accounts.ownerOf(contact)) !== undefined,
          },
          caller,
        );
        const event = {
          type: 'CODE_REQUESTED' as const,
          now: caller.now,
          contactId: contact,
          accountId: null,
          audience: null,
          purpose: 'login' as const,
          terms: proofs.terms(phone.e164),
          suppressed,
          ttlMs: config.flow.challengeTtlS * 1000,
        };
        const { flow } =
          token === null
            ? await engine.open(
                'challenge',
                {
                  flowId: mint(),
                  tokenTtlMs: config.flow.challengeTtlS * 1000,
                  event,
                  enclosures: {
                    contact: { id: contact, type: 'phone', canonical: phone.e164, value: phone.e164 },
                  },
                },
                caller,
              )
            : await ownFlow(
                engine.send(
                  'challenge',
                  flowNamedBy(token),
                  (loaded) => {
                    proofs.holder(loaded, token, caller.now);
                    proofs.sameContact(loaded, contact);
                    return { event };
                  },
                  caller,
                ),
              );
        return {
          status: 'otp_sent' as const,
          flow_id: flow.id,
          state: flow.state,
          next: s.actions.next(flow, caller.now),
          flow_token: openToken(s, flow) ?? '',
          expires_in: config.code.ttlS,
        };
      },
    );

    app.post(
      '/v1/auth/verify-otp',
      {
        config: { sends: { machine: 'challenge', event: 'CODE_CHECKED', for: { purpose: 'login' } } },
        schema: {
          ...flowDoc(
            'Login',
            'Prove the phone and log in (L1 to L6)',
            'A right code opens a [login](/v1/flows/definitions/login/diagram).',
          ),
          body: verifyOtpBody,
          response: { 200: loginAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const phone = phoneOf(body.phone);
        const caller = callerOf(request, s, { deviceId: body.device_id });
        const token = flowTokenOf(request, body.flow_token);
        await limits.codeCheck({ network: caller.network }, caller);
        const contact = contactId(phone.e164);
        const [loginId, sessionId] = [mint(), mint()];
        const { opened, loaded } = await checkedCode(
          s,
          {
            token,
            name: contact,
            network: caller.network,
            now: caller.now,
            showsLock: proofs.showsLock(phone.e164),
          },
          () =>
            engine.send(
              'challenge',
              token === null
                ? { contactId: contact, machine: 'challenge', purpose: 'login' }
                : flowNamedBy(token),
              (loaded, view) => {
                const holder = proofs.holder(loaded, token, caller.now);
                proofs.sameContact(loaded, contact);
                const enclosures = proofs.codeBudget(loaded, { holder, network: caller.network });
                return {
                  enclosures,
                  event: {
                    type: 'CODE_CHECKED',
                    now: caller.now,
                    verdict: proofs.codeVerdict(view, 'login', body.otp, holder),
                    opens: {
                      flowId: loginId,
                      event: proofs.primaryProved({
                        now: caller.now,
                        method: 'phone_code',
                        contactId: contact,
                        subject: proofs.subject(loaded),
                        sessionId,
                        deviceId: caller.deviceId,
                        persistent: body.persist_session,
                        highRisk: false,
                      }),
                    },
                  },
                };
              },
              caller,
            ),
        );
        const login = opened[0];
        if (!login) throw new Problem('invalid_code', { members: { valid: false } });
        const tokens = await revealLogin(s, login, loaded?.account?.roles);
        const revealed = deliverRefresh(reply, config, body.token_transport, tokens);
        const answer = loginContract(login, offerOf(s, caller), revealed, openToken(s, login));
        return { valid: true, ...answer, next: await nextAfterLogin(s, login, caller) };
      },
    );
  };
