/** The documented `/balance_hub` contracts: strict requests, and answers whose fields existing clients rely on. */
import { z } from 'zod';
import type { LoginContext } from '../../../machines/login.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import type { Offer } from '../../http/actions.ts';
import { codeInput, deviceInput, nameInput, otpInput } from '../../http/inputs.ts';
import { type Email, emailInput, parseEmail } from '../../kernel/identifiers/index.ts';
import { Problem } from '../../kernel/problems.ts';
import { loginContract } from '../login/contract.ts';

const usernameInput = z
  .string()
  .regex(/^[A-Za-z0-9]{3,50}$/, 'must be 3 to 50 letters and digits')
  .describe('Public, and unique without regard to case');
const fullNameInput = nameInput(100).nullish();
const ok = { success: z.literal(true), message: z.string() };

export const hubRegisterBody = z
  .strictObject({
    username: usernameInput,
    email: emailInput,
    password: z.string().min(1).max(1024),
    full_name: fullNameInput,
  })
  .meta({ id: 'BalanceHubRegister' });

export const hubRegisterAnswer = z
  .object({ ...ok, user_id: z.string(), next_step: z.string() })
  .meta({ id: 'BalanceHubRegistered' });

export const hubVerifyBody = z
  .strictObject({ user_id: z.uuid(), code: otpInput })
  .meta({ id: 'BalanceHubVerifyEmail' });

export const hubVerifyAnswer = z.object({ ...ok, user_id: z.string() }).meta({ id: 'BalanceHubVerified' });

export const hubResendBody = z
  .strictObject({ user_id: z.uuid().optional(), email: emailInput.optional() })
  .nullish()
  .meta({ id: 'BalanceHubResend' });
export const hubResendQuery = z.strictObject({ user_id: z.uuid().optional() });

export const hubDoneAnswer = z.object(ok).meta({ id: 'BalanceHubDone' });
export const hubMessageAnswer = z.object({ message: z.string() }).meta({ id: 'BalanceHubMessage' });

export const hubLoginBody = z
  .strictObject({
    email: emailInput,
    password: z.string().min(1).max(1024),
    totp_code: codeInput.nullish().describe('Answers the second factor of an account that has one'),
    device_fingerprint: deviceInput.optional(),
  })
  .meta({ id: 'BalanceHubLogin' });

const hubUser = z
  .object({
    id: z.string(),
    username: z.string().nullable(),
    email: z.string().nullable(),
    full_name: z.string().nullable(),
    is_active: z.boolean(),
    role: z.enum(['admin', 'moderator', 'user']),
    created_at: z.string(),
    updated_at: z.string(),
  })
  .meta({ id: 'BalanceHubUser' });

export const hubLoginAnswer = z
  .object({ user: hubUser, message: z.string() })
  .meta({ id: 'BalanceHubLoggedIn' });

export const hubUpdateBody = z
  .strictObject({
    username: usernameInput.optional(),
    full_name: fullNameInput,
    password: z.string().min(8).max(1024).optional().describe('Accepted and ignored: it changes by proof'),
    email: emailInput.nullish().describe('Accepted and ignored: it changes by proof'),
  })
  .meta({ id: 'BalanceHubUpdateUser' });
export const hubUpdateAnswer = hubUser;

export const hubForgetBody = z.strictObject({ email: emailInput }).meta({ id: 'BalanceHubForget' });

export const hubResetBody = z
  .strictObject({ code: z.string().min(32).max(128), new_password: z.string().min(1).max(1024) })
  .meta({ id: 'BalanceHubReset' });

type Person = {
  id: string;
  status: string;
  username: string | null;
  roles: string[];
  createdAt: Date;
  updatedAt: Date;
  name: string | null;
  email: string | null;
};

export const hubUserContract = (person: Person): z.infer<typeof hubUser> => ({
  id: person.id,
  username: person.username,
  email: person.email,
  full_name: person.name,
  is_active: person.status === 'active',
  role: (['admin', 'moderator'] as const).find((role) => person.roles.includes(role)) ?? 'user',
  created_at: person.createdAt.toISOString(),
  updated_at: person.updatedAt.toISOString(),
});

/** The one account a resend is about: named in the body or in the query. @throws Problem validation_failed */
export function resendTarget(
  body: z.infer<typeof hubResendBody>,
  query: z.infer<typeof hubResendQuery>,
): { email: Email } | { userId: string } {
  const userId = body?.user_id ?? query.user_id;
  const named = [body?.email, body?.user_id, query.user_id].filter((one) => one !== undefined);
  if (named.length !== 1) {
    throw new Problem('validation_failed', {
      errors: [{ pointer: '/body', code: 'invalid', message: 'needs either user_id or email' }],
    });
  }
  return userId === undefined ? { email: parseEmail(body?.email ?? '') } : { userId };
}

/** What the right code comes to. @throws Problem conflict when the proven address has an account already */
export function hubVerified(flow: FlowView): z.infer<typeof hubVerifyAnswer> {
  if (flow.state === 'registered' || flow.state === 'resumed') {
    const detail = 'This address already belongs to another account; log in to that one.';
    throw new Problem('conflict', { detail, state: flow.state, next: [] });
  }
  const open = flow.tier === 'LIMITED';
  return {
    success: true,
    message: open
      ? 'Your e-mail address is verified. You can log in now.'
      : 'Your e-mail address is verified.',
    user_id: flow.accountId ?? '',
  };
}

/** Lets a granted login pass. @throws Problem for every other one, with the statuses this contract documents */
export function requireGranted(flow: FlowView, offer: Offer, token: string | null): void {
  if (flow.tags.has('granted')) return;
  const { denial } = flow.context as unknown as LoginContext;
  if (denial === 'email_not_verified') {
    throw new Problem('invalid_credentials', {
      detail: 'The e-mail address has not been verified.',
      members: { email_verified: false, user_id: flow.accountId },
    });
  }
  const result = loginContract(flow, offer, null, token);
  if (!flow.tags.has('step-up')) throw new Problem('access_denied', { state: flow.state, next: result.next });
  throw new Problem('access_denied', {
    detail: '2FA_REQUIRED',
    state: flow.state,
    next: result.next,
    members: {
      requires_2fa: true,
      ...('factors' in result ? { factors: result.factors } : {}),
      ...(token === null ? {} : { flow_token: token }),
    },
  });
}

/** A wrong code is a 401 in this contract. */
export const wrongSecondFactor = (error: unknown): unknown =>
  error instanceof Problem && error.code === 'invalid_code'
    ? new Problem('invalid_credentials', { detail: 'The code of the second factor is not valid.' })
    : error;

/** Constant on purpose. */
export const HUB_RESENT: z.infer<typeof hubDoneAnswer> = {
  success: true,
  message: 'If a verification is pending, a new code is on its way and earlier ones have expired.',
};
export const HUB_FORGOTTEN: z.infer<typeof hubMessageAnswer> = {
  message: 'If the address belongs to an account, a message with a link is on its way.',
};
