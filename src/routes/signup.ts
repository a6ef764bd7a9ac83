/** S1 to S5 by phone. Each handler parses, proves, sends one event and serialises; none decides. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { Locator } from '../../db/flows.ts';
import { loginContract } from '../contracts/login.ts';
import {
  profileBody,
  setPasswordBody,
  signupAnswer,
  signupContract,
  signupPhoneBody,
  signupVerifyBody,
} from '../contracts/signup.ts';
import { codeOutcome, openToken, ownFlow, problemsFor } from '../flow-answers.ts';
import { parseFlowToken } from '../flow-token.ts';
import { checkPassword, checkPin } from '../passwords.ts';
import { isReservedPhone } from '../ports/reserved.ts';
import { ageOn } from '../ports/risk-local.ts';
import { Problem } from '../problems.ts';
import { deliverRefresh } from '../refresh-cookie.ts';
import { callerOf, flowTokenOf, mint, phoneReader } from '../request-context.ts';
import { revealLogin } from '../reveal.ts';
import type { Services } from '../services.ts';

const NOT_YET_BORN = {
  pointer: '/body/date_of_birth',
  code: 'in_the_future',
  message: 'must not be in the future',
};

export const signupRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { config, engine, keyring, limits, proofs } = s;
    const phoneOf = phoneReader(config);
    const contactId = (e164: string) => keyring.lookupId('phone', e164);
    const tokenTtlMs = config.flow.tokenTtlS * 1000;
    const doc = (summary: string, event: string) => ({
      summary,
      tags: ['Sign-up'],
      description: `Sends \`${event}\` to the [sign-up machine](/v1/flows/definitions/signup/diagram).`,
      security: [{ flowToken: [] }, {}],
    });

    /** The flow the caller means: by token when there is one, else the newest of the phone. */
    const locate = (token: string | null, phone?: string): Locator => {
      const parsed = token === null ? null : parseFlowToken(token);
      if (token !== null && !parsed) throw new Problem('invalid_flow_token');
      if (parsed) return { id: parsed.flowId };
      if (phone === undefined) throw new Problem('unauthenticated');
      return { contactId: contactId(phone), machine: 'signup' };
    };

    app.post(
      '/v1/auth/signup/phone',
      {
        schema: {
          ...doc('Start a sign-up, or resend its code', 'PHONE_SUBMITTED'),
          body: signupPhoneBody,
          response: { 200: signupAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const phone = phoneOf(request.body.phone);
        const caller = callerOf(request, s);
        const token = flowTokenOf(request, request.body.flow_token);
        const { suppressed } = await limits.codeSend({
          purpose: 'signup',
          identifier: phone.e164,
          network: caller.network,
          range: phone.range,
          ...(phone.country ? { country: phone.country } : {}),
        });
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
          ...signupContract(flow, caller.now, openToken(s, flow)),
          phone: phone.e164,
          status: 'OTP_SENT',
          expires_in: config.code.ttlS,
        };
      },
    );

    app.post(
      '/v1/auth/signup/verify-otp',
      {
        schema: {
          ...doc('Prove the phone; creates the PreUser (S1)', 'CODE_CHECKED'),
          body: signupVerifyBody,
          response: { 200: signupAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const phone = phoneOf(request.body.phone);
        const caller = callerOf(request, s);
        const token = flowTokenOf(request, request.body.flow_token);
        await limits.codeCheck({ network: caller.network });
        const accountId = mint();
        const { flow } = await codeOutcome(
          engine.send(
            'signup',
            locate(token, phone.e164),
            (loaded, view) => {
              const holder = proofs.holder(loaded, token, caller.now);
              proofs.sameContact(loaded, contactId(phone.e164));
              proofs.codeBudget(loaded, holder);
              return {
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
          caller.now,
          token !== null,
        );
        // A sign-up already under way goes on where it was: its own state, and a token for it.
        const shown = flow.state === 'resumed' ? await resumed(flow.contactId ?? '', caller) : flow;
        const reveals = shown.state === 'registered' ? null : openToken(s, shown);
        return { ...signupContract(shown, caller.now, reveals), phone: phone.e164, verified: true };
      },
    );

    const resumed = async (contact: string, caller: ReturnType<typeof callerOf>) => {
      const owner = await s.flows.signupOfContact(contact);
      return (await engine.read('signup', { id: owner ?? '' }, caller)).view;
    };

    app.post(
      '/v1/auth/signup/set-password',
      {
        schema: {
          ...doc('Set the password, and a PIN if wanted (S2)', 'PASSWORD_SET'),
          body: setPasswordBody,
          response: { 200: signupAnswer, ...problemsFor(400, 401, 409, 422, 429, 503) },
        },
      },
      async (request) => {
        const { password, pin } = request.body;
        const phone = request.body.phone === undefined ? undefined : phoneOf(request.body.phone).e164;
        const caller = callerOf(request, s);
        const token = flowTokenOf(request, request.body.flow_token);
        const locator = locate(token, phone);
        if (token === null) proofs.mayName(phone);
        const { loaded } = await ownFlow(engine.read('signup', locator, caller));
        proofs.holder(loaded, token, caller.now);
        if (phone !== undefined) proofs.sameContact(loaded, contactId(phone));
        const known = loaded.contact?.canonical ?? '';
        const weak = checkPassword(password, {
          policy: config.password.policy === 'nist' ? 'nist' : 'default',
          minLength: config.password.minLength,
          context: [known],
          pointer: '/body/password',
        });
        if (weak.length) throw new Problem('weak_password', { errors: weak });
        const weakPin =
          pin === undefined ? [] : checkPin(pin, { birthDate: null, phone: known, pointer: '/body/pin' });
        if (weakPin.length) throw new Problem('weak_pin', { errors: weakPin });
        const [passwordHash, pinHash] = await Promise.all([
          s.hasher.hash(password),
          pin === undefined ? null : s.hasher.hash(pin),
        ]);
        const { flow } = await engine.send(
          'signup',
          { id: loaded.flow.id },
          (fresh) => ({
            event: {
              type: 'PASSWORD_SET',
              now: caller.now,
              presented: proofs.holder(fresh, token, caller.now) ? 'token' : 'grant',
              pinSet: pin !== undefined,
              tokenTtlMs,
            },
            enclosures: { credentials: { passwordHash, pinHash } },
          }),
          caller,
        );
        return signupContract(flow, caller.now, openToken(s, flow));
      },
    );

    app.post(
      '/v1/auth/signup/profile',
      {
        schema: {
          ...doc(
            'Complete the profile (S3); passes the risk gate (S4) into LIMITED (S5)',
            'PROFILE_SUBMITTED',
          ),
          body: profileBody,
          response: { 200: signupAnswer, 202: signupAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { body } = request;
        const caller = callerOf(request, s, { deviceId: body.device_id });
        const token = flowTokenOf(request, body.flow_token);
        if (token === null) throw new Problem('unauthenticated');
        const [loginId, sessionId] = [mint(), mint()];
        const age = ageOn(body.date_of_birth ?? null, caller.now);
        if (age !== null && age < 0) throw new Problem('validation_failed', { errors: [NOT_YET_BORN] });
        const { flow, opened } = await ownFlow(
          engine.send(
            'signup',
            locate(token),
            (loaded, view) => {
              proofs.holder(loaded, token, caller.now);
              const codeRetries = Number(view.context.codeRetries);
              const phone = loaded.contact?.canonical ?? null;
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
                    firstName: body.first_name,
                    lastName: body.last_name,
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
        const login = opened[0];
        const revealed = login ? await revealLogin(s, login) : null;
        const given = deliverRefresh(reply, config, body.token_transport, revealed);
        const result = login ? loginContract(login, caller.now, given, null) : {};
        reply.code(flow.tier === 'LIMITED' || flow.done ? 200 : 202);
        return { ...result, ...signupContract(flow, caller.now, null) };
      },
    );

    app.get(
      '/v1/auth/signup',
      {
        schema: {
          ...doc('Where am I, what is missing, what may I do next, until when', ''),
          description: 'Reads the flow; sends nothing.',
          response: { 200: signupAnswer, ...problemsFor(401, 409, 503) },
        },
      },
      async (request) => {
        const caller = callerOf(request, s);
        const token = flowTokenOf(request);
        if (token === null) throw new Problem('unauthenticated');
        const { loaded, view } = await ownFlow(engine.read('signup', locate(token), caller));
        proofs.holder(loaded, token, caller.now);
        return signupContract(view, caller.now, null);
      },
    );

    app.delete(
      '/v1/auth/signup',
      {
        schema: {
          ...doc('Give the sign-up up', 'ABANDON'),
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
        return signupContract(flow, caller.now, null);
      },
    );
  };
