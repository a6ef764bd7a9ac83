/** The answer to a login's step-up (L4): by PIN or code, and by the documented form of the second factor alone. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import type { LoginContext } from '../../../machines/login.ts';
import type { Result } from '../../engine/engine.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import { flowDoc } from '../../http/flow-requests.ts';
import { typedCode } from '../../http/inputs.ts';
import { nextAfterLogin } from '../../http/onboarding.ts';
import { assertionOf } from '../../http/passkey-inputs.ts';
import { callerOf, flowTokenOf, offerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import { revealLogin } from '../sessions/issue-tokens.ts';
import { deliverRefresh } from '../sessions/refresh-cookie.ts';
import { answerCode, answerPasskey, answerPin } from './answer-factor.ts';
import { loginAnswer, loginContract, mfaVerifyBody, stepUpBody } from './contract.ts';
import { passwordLoginAnswer, userFields } from './password-contract.ts';

export const stepUpRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { config, engine } = s;

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
        const { pin, code, passkey, flow_token: given, token_transport: transport } = request.body;
        const token = flowTokenOf(request, given);
        if (token === null) throw new Problem('unauthenticated');
        const result =
          (await engine.replay('login', caller)) ??
          (passkey !== undefined
            ? await answerPasskey(s, token, assertionOf(passkey), caller)
            : code !== undefined
              ? await answerCode(s, token, typedCode(code), caller)
              : await answerPin(s, token, pin ?? '', caller));
        const { flow, loaded } = result;
        if (flow.tags.has('step-up') && !answeredRight(result))
          throw new Problem('invalid_credentials', {
            state: flow.state,
            next: s.actions.next(flow, caller.now),
          });
        const revealed = await revealLogin(s, flow, loaded?.account?.roles);
        const answer = loginContract(
          flow,
          offerOf(s, caller),
          deliverRefresh(reply, config, transport, revealed),
          token,
        );
        return { ...answer, next: await nextAfterLogin(s, flow, caller) };
      },
    );

    app.post(
      '/v1/auth/mfa/verify',
      {
        config: { sends: { machine: 'login', event: 'STEP_UP_ANSWERED', offered: false } },
        schema: {
          ...flowDoc('Login', 'Second factor of a password login'),
          security: [],
          body: mfaVerifyBody,
          response: { 200: passwordLoginAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const caller = callerOf(request, s);
        const { session_token: token, code, token_transport: transport } = request.body;
        const result =
          (await engine.replay('login', caller)) ??
          (await answerCode(s, token, typedCode(code), caller).catch((error) => {
            throw documented(error);
          }));
        const { flow, loaded } = result;
        if (wrongAnswer(result))
          throw new Problem('invalid_code', { state: flow.state, next: s.actions.next(flow, caller.now) });
        const revealed = await revealLogin(s, flow, loaded?.account?.roles);
        const given = deliverRefresh(reply, config, transport, revealed);
        return {
          ...loginContract(flow, offerOf(s, caller), given, null),
          ...userOf(s, flow, loaded),
          next: await nextAfterLogin(s, flow, caller),
        };
      },
    );
  };

/** Whether the answer was right, although the login may wait for another one. */
function answeredRight({ flow, loaded }: Result): boolean {
  const { satisfied } = flow.context as unknown as LoginContext;
  const before = loaded && loaded.flow.version < flow.version ? loaded.flow.snapshot.context : null;
  return satisfied.length > ((before as LoginContext | null)?.satisfied.length ?? 0);
}

/** Still waiting for a right answer, or denied by this very one. */
const wrongAnswer = (result: Result): boolean =>
  (result.flow.tags.has('step-up') && !answeredRight(result)) ||
  (result.flow.context as unknown as LoginContext).denial === 'step_up_failed';

/** The session token of this contract is the flow's own; what is wrong with one is answered with its statuses. */
function documented(error: unknown): unknown {
  if (!(error instanceof Problem)) return error;
  const spent = error.code === 'event_refused' && error.extras.state === 'L6_result.DENIED';
  if (spent)
    return new Problem('rate_limited', {
      detail: 'Too many wrong codes, or too late; log in again.',
      retryAfter: 1,
    });
  const dead = ['invalid_flow_token', 'event_refused', 'flow_needs_restart', 'account_blocked'];
  return dead.includes(error.code) ? new Problem('invalid_session_token') : error;
}

function userOf(s: Services, flow: FlowView, loaded: Result['loaded']) {
  if (!flow.tags.has('granted') || !loaded?.account || !loaded.person) return {};
  const { id, roles } = loaded.account;
  return { user: userFields({ id, roles, ...loaded.person, mfa: s.factors.enrolled(loaded.factors) }) };
}
