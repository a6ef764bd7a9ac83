/** Login over HTTP: strict requests and the L6 result contract, a pure function of the flow and what was revealed. */
import { z } from 'zod';
import { type LoginContext, waysToAnswer } from '../../../machines/login.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import { flowFields, nextOf, type Offer } from '../../http/actions.ts';
import {
  codeInput,
  deviceInput,
  flowTokenInput,
  otpInput,
  pinInput,
  transportInput,
} from '../../http/inputs.ts';
import { assertionInput, passkeyOptions } from '../../http/passkey-inputs.ts';
import { phoneInput } from '../../kernel/identifiers/index.ts';
import { Problem } from '../../kernel/problems.ts';
import type { Revealed } from '../sessions/issue-tokens.ts';

/** L6: what a login ends or rests with, merged into other answers too. */
export const loginFields = {
  auth_status: z.enum(['AUTHENTICATED', 'ONBOARDING_REQUIRED', 'STEP_UP_REQUIRED']).optional(),
  requires_step_up: z.boolean().optional(),
  factors: z.array(z.string()).optional().describe('Factors that answer the step-up'),
  user_id: z.string().optional(),
  session_id: z.string().optional(),
  access_token: z.string().optional(),
  token_type: z.string().optional(),
  expires_in: z.number().optional().describe('Seconds the access token lives'),
  refresh_token: z.string().nullable().optional(),
  scope: z.string().optional(),
};

export const sendOtpBody = z
  .strictObject({ phone: phoneInput, flow_token: flowTokenInput.optional() })
  .meta({ id: 'SendOtp', examples: [{ phone: '+15555550142' }] });

export const sendOtpAnswer = z
  .object({
    status: z.literal('otp_sent'),
    ...flowFields,
    flow_token: z.string(),
    expires_in: z.number().describe('Seconds until the code expires'),
  })
  .meta({ id: 'OtpSent' });

export const verifyOtpBody = z
  .strictObject({
    phone: phoneInput,
    otp: otpInput,
    flow_token: flowTokenInput.optional(),
    device_id: deviceInput.optional(),
    persist_session: z.boolean().default(false),
    token_transport: transportInput.default('body'),
  })
  .meta({ id: 'VerifyOtp', examples: [{ phone: '+15555550142', otp: '000000' }] });

export const stepUpBody = z
  .strictObject({
    flow_token: flowTokenInput.optional(),
    pin: pinInput.optional(),
    code: codeInput.optional(),
    passkey: assertionInput.optional(),
    token_transport: transportInput.default('body'),
  })
  .refine(({ pin, code, passkey }) => [pin, code, passkey].filter((one) => one !== undefined).length === 1, {
    message: 'needs one of pin, code and passkey',
  })
  .meta({ id: 'StepUp', examples: [{ pin: '482915' }] });

export const passkeyOptionsAnswer = z
  .object({ options: passkeyOptions, expires_in: z.number().describe('Seconds the challenge lives') })
  .meta({ id: 'PasskeyChallenge' });

export const stepUpOptionsBody = z
  .strictObject({ flow_token: flowTokenInput.optional() })
  .nullish()
  .meta({ id: 'StepUpOptions' });

export const passkeyLoginBody = z
  .strictObject({
    credential: assertionInput,
    device_id: deviceInput.optional(),
    persist_session: z.boolean().default(false),
    token_transport: transportInput.default('body'),
  })
  .meta({ id: 'PasskeyLogin' });

export const mfaVerifyBody = z
  .strictObject({
    session_token: flowTokenInput.describe('As the login answered it'),
    code: codeInput,
    token_transport: transportInput.default('cookie'),
  })
  .meta({ id: 'MfaVerify' });

export const loginAnswer = z
  .object({
    valid: z.boolean().optional(),
    ...flowFields,
    account_tier: z.string().nullable(),
    flow_token: z.string().optional().describe('Answers the step-up'),
    onboarding: z.object({ flow_id: z.string().nullable(), method: z.string(), href: z.string() }).optional(),
    ...loginFields,
  })
  .meta({ id: 'LoginResult' });

/** The L6 result. A denial is an answer of its own kind: it throws the problem that says so. */
export function loginContract(view: FlowView, offer: Offer, revealed: Revealed, token: string | null) {
  const c = view.context as unknown as LoginContext;
  const { persistent: _, ...tokens } = revealed ?? {};
  const base = {
    flow_id: view.id,
    state: view.state,
    next: nextOf(view, offer),
    account_tier: c.subject?.tier ?? null,
    requires_step_up: view.tags.has('step-up'),
  };
  if (view.tags.has('granted')) {
    return {
      ...base,
      auth_status: 'AUTHENTICATED' as const,
      user_id: c.subject?.accountId,
      session_id: c.sessionId,
      scope: c.scope.join(' '),
      ...tokens,
    };
  }
  if (view.tags.has('step-up')) {
    return {
      ...base,
      auth_status: 'STEP_UP_REQUIRED' as const,
      factors: waysToAnswer(c).map(({ kind }) => kind),
      ...(token === null ? {} : { flow_token: token }),
    };
  }
  if (view.tags.has('denied')) {
    const members = { auth_status: 'DENIED', account_tier: base.account_tier };
    if (c.denial === 'account_blocked')
      throw new Problem('account_blocked', { state: view.state, next: [], members });
    if (c.denial === 'email_not_verified') {
      throw new Problem('email_not_verified', {
        state: view.state,
        next: offer.actions.toProve('signup', 'email'),
        members: { ...members, user_id: c.subject?.accountId },
      });
    }
    throw new Problem('access_denied', { state: view.state, next: [], members });
  }
  // Proving the identifier again, by the way it came in, goes on with the sign-up under way.
  const [way] = base.next;
  return {
    ...base,
    auth_status: 'ONBOARDING_REQUIRED' as const,
    onboarding: {
      flow_id: c.subject?.signupFlowId ?? null,
      method: way?.method ?? '',
      href: way?.href ?? '',
    },
  };
}
