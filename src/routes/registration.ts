/** Sign-up by e-mail: register, prove the address, ask for another code. Answers tell nothing about other accounts. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Locator } from '../../db/flows.ts';
import { loginContract } from '../contracts/login.ts';
import {
  RESENT,
  registerAnswer,
  registerBody,
  registerContract,
  resendVerificationAnswer,
  resendVerificationBody,
  verifyEmailBody,
} from '../contracts/registration.ts';
import { signupAnswer, signupContract } from '../contracts/signup.ts';
import { codeOutcome, openToken, problemsFor } from '../flow-answers.ts';
import { parseFlowToken } from '../flow-token.ts';
import { parseEmail } from '../identifiers.ts';
import { acceptPassword } from '../new-password.ts';
import { Problem } from '../problems.ts';
import { deliverRefresh } from '../refresh-cookie.ts';
import { type Caller, callerOf, flowTokenOf, mint, phoneReader } from '../request-context.ts';
import { revealLogin } from '../reveal.ts';
import type { Services } from '../services.ts';

export const registrationRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { config, engine, keyring, limits, proofs } = s;
    const phoneOf = phoneReader(config);
    const contactId = (canonical: string) => keyring.lookupId('email', canonical);
    const tokenTtlMs = config.flow.tokenTtlS * 1000;
    const doc = (summary: string, event: string, more: string) => ({
      summary,
      tags: ['Sign-up'],
      description: `Sends \`${event}\` to the [sign-up machine](/v1/flows/definitions/signup/diagram). ${more}`,
      security: [{ flowToken: [] }, {}],
    });

    app.post(
      '/v1/auth/register',
      {
        schema: {
          ...doc(
            'Register with an e-mail address and a password',
            'REGISTERED',
            'The answer is the same for an address that already has an account: 201, not 409. Its owner gets a mail that says so; nobody else learns it. The address belongs to whoever enters the code first.',
          ),
          security: [],
          body: registerBody,
          response: { 201: registerAnswer, ...problemsFor(400, 422, 429, 503) },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const email = parseEmail(body.email);
        const phone = body.phone === undefined ? '' : phoneOf(body.phone).e164;
        const caller = callerOf(request, s);
        await limits.register({ identifier: email.canonical, network: caller.network });
        const passwordHash = await acceptPassword(s, body.password, {
          context: [email.canonical, body.name, phone],
        });
        const contact = contactId(email.canonical);
        const { flow } = await engine.open(
          'signup',
          {
            flowId: mint(),
            tokenTtlMs,
            event: {
              type: 'REGISTERED',
              now: caller.now,
              terms: proofs.mailTerms(),
              suppressed: false,
              contactId: contact,
              accountId: mint(),
              ttlMs: config.flow.signupTtlDays * 86_400_000,
            },
            enclosures: {
              contact: { id: contact, type: 'email', canonical: email.canonical, value: email.original },
              credentials: { passwordHash, pinHash: null },
              profile: {
                displayName: body.name,
                firstName: null,
                lastName: null,
                birthDate: null,
                address: null,
                timezone: body.timezone,
                locale: body.locale,
                complete: false,
              },
            },
          },
          caller,
        );
        reply.code(201);
        return registerContract(flow, caller.now, {
          email: email.original,
          token: openToken(s, flow) ?? '',
          expiresInS: config.code.emailTtlS,
        });
      },
    );

    /** The flow the code is for: by its token, by the account it opened, or by an address that leaves no doubt. */
    async function locate(token: string | null, userId?: string, email?: string): Promise<Locator> {
      if (token !== null) {
        const parsed = parseFlowToken(token);
        if (!parsed) throw new Problem('invalid_flow_token');
        return { id: parsed.flowId };
      }
      if (userId !== undefined) return { accountId: userId, machine: 'signup' };
      if (email === undefined) throw new Problem('unauthenticated');
      const only = await s.flows.registrationOf(contactId(parseEmail(email).canonical));
      if (only === null) throw new Problem('invalid_code', { members: { valid: false } });
      return { id: only };
    }

    /** The sign-up of this address that is already under way goes on where it is. */
    async function underWay(contact: string, caller: Caller) {
      const owner = await s.flows.signupOfContact(contact);
      return (await engine.read('signup', { id: owner ?? '' }, caller)).view;
    }

    app.post(
      '/v1/auth/verify-email',
      {
        schema: {
          ...doc(
            'Prove the e-mail address with the code of the mail; logs in once LIMITED is reached',
            'CODE_CHECKED',
            'Wrong, expired, used and unknown look alike.',
          ),
          body: verifyEmailBody,
          response: { 200: signupAnswer, 202: signupAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const caller = callerOf(request, s, { deviceId: body.device_fingerprint });
        const token = flowTokenOf(request, body.flow_token);
        await limits.codeCheck({ network: caller.network });
        const locator = await locate(token, body.user_id, body.email);
        const [loginId, sessionId] = [mint(), mint()];
        const { flow, opened } = await codeOutcome(
          engine.send(
            'signup',
            locator,
            (loaded, view) => {
              const holder = proofs.holder(loaded, token, caller.now);
              proofs.aboutEmail(loaded);
              proofs.codeBudget(loaded, holder);
              const codeRetries = Number(view.context.codeRetries);
              return {
                event: {
                  type: 'CODE_CHECKED',
                  now: caller.now,
                  verdict: proofs.codeVerdict(view, 'email', body.code, holder),
                  owner: proofs.owner(loaded),
                  accountId: view.accountId ?? '',
                  grant: false,
                  tokenTtlMs,
                  risk: proofs.risk(
                    { age: null, birthDateLater: true, codeRetries, phone: null },
                    caller.now,
                  ),
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
              };
            },
            caller,
          ),
          caller.now,
          token !== null,
        );
        const login = opened[0];
        const revealed = login ? await revealLogin(s, login) : null;
        const given = deliverRefresh(reply, config, body.token_transport, revealed);
        const result = login ? loginContract(login, caller.now, given, null) : {};
        const shown = flow.state === 'resumed' ? await underWay(flow.contactId ?? '', caller) : flow;
        const reveals = shown.state === 'registered' ? null : openToken(s, shown);
        reply.code(shown.tier === 'LIMITED' || shown.done ? 200 : 202);
        return { ...result, ...signupContract(shown, caller.now, reveals), verified: true };
      },
    );

    app.post(
      '/v1/auth/resend-verification',
      {
        schema: {
          ...doc(
            'Ask for another verification code; the earlier one dies',
            'CODE_REQUESTED',
            'Always the same answer; the event is sent once the answer is on its way.',
          ),
          security: [],
          body: resendVerificationBody,
          response: { 202: resendVerificationAnswer, ...problemsFor(400, 429, 503) },
        },
      },
      async (request, reply) => {
        const { user_id: userId } = request.body;
        const caller = callerOf(request, s);
        const email = request.body.email === undefined ? null : parseEmail(request.body.email);
        await limits.recoveryRequest({
          identifier: email?.canonical ?? userId ?? '',
          network: caller.network,
        });
        await s.outbox.add({
          id: mint(),
          topic: 'verification.resend',
          payload: email ? { contactId: contactId(email.canonical) } : { accountId: userId },
          now: new Date(caller.now),
        });
        reply.code(202);
        return RESENT;
      },
    );
  };
