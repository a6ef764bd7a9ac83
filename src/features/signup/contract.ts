/** Sign-up over HTTP: strict requests, and answers as pure functions of the flow. */
import { z } from 'zod';
import type { FlowView } from '../../engine/snapshots.ts';
import { flowFields, nextOf, type Offer } from '../../http/actions.ts';
import { deviceInput, flowTokenInput, otpInput, transportInput } from '../../http/inputs.ts';
import { localeInput, timezoneInput } from '../../http/places.ts';
import { phoneInput } from '../../kernel/identifiers/index.ts';
import { loginFields } from '../login/contract.ts';

export const signupPhoneBody = z
  .strictObject({ phone: phoneInput, flow_token: flowTokenInput.optional() })
  .meta({ id: 'SignupPhone' });

export const signupVerifyBody = z
  .strictObject({ phone: phoneInput, otp: otpInput, flow_token: flowTokenInput.optional() })
  .meta({ id: 'SignupVerifyOtp' });

export const setPasswordBody = z
  .strictObject({
    phone: phoneInput.optional().describe('If given, must be the flow’s own phone'),
    password: z.string().min(1).max(1024),
    pin: z
      .string()
      .regex(/^[0-9]{6,12}$/, 'must be 6 to 12 digits')
      .optional(),
    flow_token: flowTokenInput.optional(),
  })
  .meta({ id: 'SetPassword' });

const name = z
  .string()
  .trim()
  .min(1)
  .max(100)
  .regex(/^[^\p{C}<>]*$/u, 'must not hold control characters or markup');
const line = name.max(200);

export const profileBody = z
  .strictObject({
    first_name: name,
    last_name: name,
    date_of_birth: z.iso
      .date()
      .refine((date) => date >= '1900', 'must be 1900 or later')
      .optional(),
    address: z
      .strictObject({
        line1: line,
        line2: line.optional(),
        city: name,
        region: name.optional(),
        postal_code: z
          .string()
          .trim()
          .min(2)
          .max(16)
          .regex(/^[A-Za-z0-9 -]+$/),
        country: z.string().regex(/^[A-Z]{2}$/, 'must be an ISO 3166-1 alpha-2 code'),
      })
      .optional(),
    timezone: timezoneInput.optional(),
    locale: localeInput.optional(),
    device_id: deviceInput.optional(),
    persist_session: z.boolean().default(false),
    token_transport: transportInput.default('body'),
    flow_token: flowTokenInput.optional(),
  })
  .meta({ id: 'Profile' });

export const signupAnswer = z
  .object({
    ...flowFields,
    status: z.string().describe('Last part of the state, or OTP_SENT after the phone'),
    account_tier: z.string().nullable(),
    phone: z.string().optional(),
    verified: z.boolean().optional(),
    flow_token: z.string().optional(),
    temp_token: z.string().optional().describe('The same token under its documented name'),
    expires_at: z.string().nullable().optional().describe('When the flow expires (RFC 3339)'),
    missing: z.array(z.string()).optional().describe('Steps still to be done before LIMITED'),
    ...loginFields,
  })
  .meta({ id: 'SignupAnswer' });

const leaf = (state: string): string => state.split('.').at(-1) ?? state;

const MISSING: Record<string, string[]> = {
  code_sent: ['code', 'password', 'profile', 'risk'],
  locked: ['code', 'password', 'profile', 'risk'],
  preuser_created: ['password', 'profile', 'risk'],
  credentials_set: ['profile', 'risk'],
  risk_pending: ['risk'],
  risk_review: ['risk'],
};

/** An e-mail sign-up begins with its password, and may leave the profile for later. */
const missingOf = (view: FlowView, status: string): string[] => {
  const missing = MISSING[status] ?? [];
  const later = view.context.entry === 'phone' ? [] : ['password', 'profile'];
  return missing.filter((step) => !later.includes(step));
};

/** Where the sign-up stands; `token` is what the caller may go on with. */
export function signupContract(view: FlowView, offer: Offer, token: string | null) {
  const status = leaf(view.state);
  return {
    flow_id: view.id,
    status,
    state: view.state,
    account_tier: view.tier,
    next: nextOf(view, offer),
    missing: missingOf(view, status),
    expires_at: view.dueAt === null ? null : new Date(view.dueAt).toISOString(),
    ...(token === null ? {} : { flow_token: token, temp_token: token }),
  };
}
