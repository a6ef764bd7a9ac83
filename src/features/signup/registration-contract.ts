/** Registration by e-mail over HTTP: strict requests, and answers that are the same for a free and a taken address. */
import { z } from 'zod';
import type { FlowView } from '../../engine/snapshots.ts';
import { flowFields, nextOf, type Offer } from '../../http/actions.ts';
import {
  deviceInput,
  flowTokenInput,
  nameInput,
  otpInput,
  passwordInput,
  transportInput,
} from '../../http/inputs.ts';
import { localeInput, timezoneInput } from '../../http/places.ts';
import { emailInput, phoneInput } from '../../kernel/identifiers/index.ts';

export const personName = nameInput(255);

export const registerBody = z
  .strictObject({
    email: emailInput,
    password: passwordInput,
    name: personName,
    phone: phoneInput
      .optional()
      .describe('Checked, kept out of the password, and not stored: a phone is added by proving it'),
    timezone: timezoneInput.default('UTC'),
    locale: localeInput
      .optional()
      .describe(
        'BCP 47 language tag; by default the language of Accept-Language that messages exist in, else en-US',
      ),
  })
  .meta({
    id: 'Register',
    examples: [{ email: 'ada@example.com', password: 'StrongPassword@123', name: 'Ada Byron' }],
  });

export const registerAnswer = z
  .object({
    user_id: z.string(),
    email: z.string(),
    status: z.literal('pending_verification'),
    verification_email_sent: z.boolean().describe('A message to the address has been queued'),
    created_at: z.string(),
    ...flowFields,
    flow_token: z.string(),
    expires_in: z.number().describe('Seconds until the code expires'),
  })
  .meta({ id: 'Registered' });

export function registerContract(
  view: FlowView,
  offer: Offer,
  known: { email: string; token: string; expiresInS: number },
): z.infer<typeof registerAnswer> {
  return {
    user_id: view.accountId ?? '',
    email: known.email,
    status: 'pending_verification',
    verification_email_sent: true,
    created_at: new Date(offer.now).toISOString(),
    flow_id: view.id,
    state: view.state,
    next: nextOf(view, offer),
    flow_token: known.token,
    expires_in: known.expiresInS,
  };
}

export const verifyEmailBody = z
  .strictObject({
    code: otpInput,
    user_id: z.uuid().optional(),
    email: emailInput
      .optional()
      .describe(
        'Enough only while one registration of the address is open; alone, it asks for a new password',
      ),
    flow_token: flowTokenInput.optional(),
    device_fingerprint: deviceInput.optional(),
    persist_session: z.boolean().default(false),
    token_transport: transportInput.default('body'),
  })
  .meta({ id: 'VerifyEmail', examples: [{ email: 'ada@example.com', code: '000000' }] });

export const resendVerificationBody = z
  .strictObject({ user_id: z.uuid().optional(), email: emailInput.optional() })
  .refine((body) => (body.user_id === undefined) !== (body.email === undefined), {
    message: 'needs either user_id or email',
  })
  .meta({ id: 'ResendVerification', examples: [{ email: 'ada@example.com' }] });

export const resendVerificationAnswer = z
  .object({ status: z.literal('accepted'), message: z.string() })
  .meta({ id: 'VerificationResent' });

/** Constant on purpose. */
export const RESENT: z.infer<typeof resendVerificationAnswer> = {
  status: 'accepted',
  message: 'If a verification is pending, a new code is on its way and earlier ones have expired.',
};
