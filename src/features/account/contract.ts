/** Changes a person makes to the account: strict requests and small answers. */
import { z } from 'zod';
import { flowFields } from '../../http/actions.ts';
import { nameInput, otpInput, passwordInput } from '../../http/inputs.ts';
import { localeInput, timezoneInput } from '../../http/places.ts';
import { emailInput, phoneInput } from '../../kernel/identifiers/index.ts';

/** One of the proofs a step-up takes. */
const passwordIfAny = passwordInput
  .optional()
  .describe('The present password, instead of a login or step-up within the last five minutes');

export const patchMeBody = z
  .strictObject({
    name: nameInput(255).optional(),
    timezone: timezoneInput.optional(),
    locale: localeInput.optional(),
    avatar_url: z
      .url({ protocol: /^https$/ })
      .max(2048)
      .nullable()
      .optional(),
  })
  .refine((body) => Object.keys(body).length > 0, { message: 'must name a field to change' })
  .meta({ id: 'ChangeMe' });

export const patchMeAnswer = z
  .object({ user_id: z.string(), message: z.string(), updated_fields: z.array(z.string()) })
  .meta({ id: 'MeChanged' });

export const deleteMeBody = z.strictObject({ password: passwordIfAny }).nullish().meta({ id: 'DeleteMe' });
export const deleteMeAnswer = z
  .object({
    message: z.string(),
    sessions_revoked: z.int(),
    trading_accounts_unlinked: z.number(),
    erased_after: z.string(),
  })
  .meta({ id: 'MeDeleted' });

export const changePasswordBody = z
  .strictObject({
    current_password: passwordInput,
    new_password: passwordInput,
    revoke_other_sessions: z.boolean().default(false),
  })
  .meta({ id: 'ChangePassword' });
export const messageAnswer = z.object({ message: z.string() }).meta({ id: 'Message' });

export const publicProfileAnswer = z
  .object({
    user_id: z.string(),
    name: z.string().nullable(),
    avatar_url: z.string().nullable(),
    status: z.string(),
    created_at: z.string(),
  })
  .meta({ id: 'PublicProfile' });

const value = z.union([z.string().max(500), z.number(), z.boolean(), z.null()]);
export const preferencesBody = z
  .strictObject({
    preferences: z
      .record(z.string().regex(/^[a-z][a-z0-9_.]{0,63}$/), value)
      .refine((p) => Object.keys(p).length <= 50, { message: 'holds at most 50 entries' }),
  })
  .meta({ id: 'ReplacePreferences' });
export const preferencesAnswer = z
  .object({ preferences: z.record(z.string(), z.unknown()) })
  .meta({ id: 'Preferences' });

export const addContactBody = z
  .discriminatedUnion('type', [
    z.strictObject({ type: z.literal('email'), value: emailInput, current_password: passwordIfAny }),
    z.strictObject({ type: z.literal('phone'), value: phoneInput, current_password: passwordIfAny }),
  ])
  .meta({ id: 'AddContact', examples: [{ type: 'email', value: 'ada@example.com' }] });
export const removeContactBody = z
  .strictObject({ current_password: passwordIfAny })
  .nullish()
  .meta({ id: 'RemoveContact' });
export const verifyContactBody = z.strictObject({ flow_token: z.string().max(100), code: otpInput }).meta({
  id: 'VerifyContact',
  examples: [{ flow_token: 'the flow_token of the answer before', code: '000000' }],
});

export const contactsAnswer = z
  .object({
    contacts: z.array(
      z.object({
        contact_id: z.string(),
        type: z.string(),
        value: z.string(),
        verified_at: z.string().nullable(),
        primary: z.boolean(),
      }),
    ),
  })
  .meta({ id: 'Contacts' });
export const contactStartedAnswer = z
  .object({ ...flowFields, flow_token: z.string(), expires_in: z.number() })
  .meta({ id: 'ContactCodeSent' });
