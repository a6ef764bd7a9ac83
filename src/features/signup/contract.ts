/** Sign-up over HTTP: strict requests, and answers as pure functions of the flow. */
import { z } from 'zod';
import { toGraph } from '../../../machines/graph.ts';
import { registry } from '../../../machines/index.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import { flowFields, nextOf, type Offer } from '../../http/actions.ts';
import {
  deviceInput,
  flowTokenInput,
  nameInput,
  otpInput,
  passwordInput,
  pinInput,
  transportInput,
} from '../../http/inputs.ts';
import { hasPostalCodes, localeInput, timezoneInput } from '../../http/places.ts';
import { pollAfter, pollField } from '../../http/waiting.ts';
import { phoneInput } from '../../kernel/identifiers/index.ts';
import { Problem } from '../../kernel/problems.ts';
import { loginFields } from '../login/contract.ts';

export const signupPhoneBody = z
  .strictObject({ phone: phoneInput, flow_token: flowTokenInput.optional() })
  .meta({ id: 'SignupPhone', examples: [{ phone: '+15555550142' }] });

export const signupVerifyBody = z
  .strictObject({ phone: phoneInput, otp: otpInput, flow_token: flowTokenInput.optional() })
  .meta({ id: 'SignupVerifyOtp', examples: [{ phone: '+15555550142', otp: '000000' }] });

export const setPasswordBody = z
  .strictObject({
    phone: phoneInput.optional().describe('If given, must be the flow’s own phone'),
    password: passwordInput,
    pin: pinInput.optional(),
    flow_token: flowTokenInput.optional(),
  })
  .meta({ id: 'SetPassword', examples: [{ password: 'StrongPassword@123' }] });

const name = nameInput(100);
const line = nameInput(200);

export const profileBody = z
  .strictObject({
    first_name: name.optional(),
    last_name: name.optional().describe('Only beside `first_name`'),
    name: name.optional().describe('Instead of `first_name`: the whole name as the person writes it'),
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
          .overwrite((code) => code.normalize('NFKC').trim())
          .min(2)
          .max(16)
          .regex(/^[A-Za-z0-9 -]+$/)
          .optional()
          .describe('Only a country without postal codes goes without'),
        country: z.string().regex(/^[A-Z]{2}$/, 'must be an ISO 3166-1 alpha-2 code'),
      })
      .refine((address) => address.postal_code !== undefined || !hasPostalCodes(address.country), {
        path: ['postal_code'],
        message: 'is required in this country',
      })
      .optional(),
    timezone: timezoneInput.optional(),
    locale: localeInput.optional(),
    device_id: deviceInput.optional(),
    persist_session: z.boolean().default(false),
    token_transport: transportInput.default('body'),
    flow_token: flowTokenInput.optional(),
  })
  .refine((body) => (body.first_name === undefined) !== (body.name === undefined), {
    message: 'needs either first_name or name',
  })
  .refine((body) => body.name === undefined || body.last_name === undefined, {
    path: ['last_name'],
    message: 'is part of name',
  })
  .meta({
    id: 'Profile',
    examples: [{ first_name: 'Ada', last_name: 'Byron', date_of_birth: '1990-12-10' }],
  });

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
    poll_after: pollField.optional(),
    ...loginFields,
  })
  .meta({ id: 'SignupAnswer' });

const leaf = (state: string): string => state.split('.').at(-1) ?? state;

/** What is to be done in which state, in the order of the machine. */
const STEPS = toGraph(registry.signup.machine).nodes.filter(({ meta }) => meta.step !== undefined);

/** What each later state asks for too; an e-mail sign-up begins with its password, and may leave the profile for later. */
const missingOf = (view: FlowView): string[] => {
  const here = STEPS.findIndex(({ id }) => id === view.state);
  const left = here < 0 ? [] : STEPS.slice(here);
  const asked = left.filter(({ meta }) => meta.stepBy === undefined || meta.stepBy === view.context.entry);
  return [...new Set(asked.map(({ meta }) => meta.step ?? ''))];
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
    missing: missingOf(view),
    poll_after: pollAfter(view),
    expires_at: view.dueAt === null ? null : new Date(view.dueAt).toISOString(),
    ...(token === null ? {} : { flow_token: token, temp_token: token }),
  };
}

/** What a step that ended at the risk gate is answered with. @throws Problem risk_refused */
export function refuseBlocked(view: FlowView): void {
  if (view.state !== 'risk_blocked') return;
  throw new Problem('risk_refused', {
    detail:
      'The risk check refused to open the account. Trying again gives the same answer; ask the operator of this service to look at it again.',
    state: view.state,
    next: [],
    members: { flow_id: view.id },
  });
}
