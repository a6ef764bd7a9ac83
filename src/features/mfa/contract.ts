/** Second factors over HTTP: strict requests and the documented answers. A secret or a backup code is shown once. */
import { z } from 'zod';
import type { FactorStore } from '../../../db/factors.ts';
import { actionSchema } from '../../http/actions.ts';
import { codeInput, digitsInput, labelInput, passwordInput } from '../../http/inputs.ts';
import { assertionInput, passkeyOptions } from '../../http/passkey-inputs.ts';

const passwordIfAny = passwordInput.optional().describe('The present password, where the account has one');

export const setupTotpBody = z
  .strictObject({
    password: passwordIfAny.describe('Instead of a login within the last five minutes'),
    label: labelInput.optional().describe('How its owner tells it from others'),
  })
  .nullish()
  .meta({ id: 'SetupTotp', examples: [{ password: 'StrongPassword@123' }] });

export const setupTotpAnswer = z
  .object({
    factor_id: z.string(),
    secret: z.string().describe('Base32, to type in where no picture can be read; shown once'),
    otpauth_uri: z.string(),
    qr_code_data_uri: z.string().describe('The URI as an SVG picture'),
    issuer: z.string(),
    account_name: z.string(),
    expires_in: z.number().describe('Seconds until it has to be set up anew'),
    message: z.string(),
    state: z.string(),
    next: z.array(actionSchema),
  })
  .meta({ id: 'TotpSetup' });

export const enableTotpBody = z
  .strictObject({ code: digitsInput })
  .meta({ id: 'EnableTotp', examples: [{ code: '123456' }] });

const backupCodes = z.array(z.string()).describe('Each works once; shown now and never again');

export const enableTotpAnswer = z
  .object({
    user_id: z.string(),
    mfa_enabled: z.literal(true),
    factor_id: z.string(),
    backup_codes: backupCodes,
    message: z.string(),
    state: z.string(),
  })
  .meta({ id: 'TotpEnabled' });

export const verifyTotpBody = z.strictObject({ code: codeInput }).meta({ id: 'VerifyTotp' });

const bothFactors = z.strictObject({
  password: passwordIfAny,
  code: codeInput
    .optional()
    .describe('Of the app, or a backup code; not needed within five minutes of a step-up'),
});
export const disableTotpBody = bothFactors.meta({
  id: 'DisableTotp',
  examples: [{ password: 'StrongPassword@123', code: '123456' }],
});
export const regenerateBody = bothFactors.meta({ id: 'RegenerateBackupCodes' });

export const disableTotpAnswer = z
  .object({ user_id: z.string(), mfa_enabled: z.boolean(), message: z.string() })
  .meta({ id: 'TotpDisabled' });

export const regenerateAnswer = z
  .object({ user_id: z.string(), backup_codes: backupCodes, message: z.string(), warning: z.string() })
  .meta({ id: 'BackupCodes' });

export const sessionStepUpBody = z
  .strictObject({
    password: passwordInput.optional(),
    code: codeInput.optional(),
    passkey: assertionInput.optional(),
  })
  .refine((body) => Object.values(body).some((one) => one !== undefined), {
    message: 'needs a password, a code or a passkey',
  })
  .refine((body) => body.code === undefined || body.passkey === undefined, {
    message: 'needs either code or passkey',
  })
  .meta({ id: 'SessionStepUp' });

export const sessionPasskeyOptions = z
  .object({ options: passkeyOptions, expires_in: z.number().describe('Seconds the challenge lives') })
  .meta({ id: 'SessionPasskeyChallenge' });

export const steppedUpAnswer = z
  .object({
    verified: z.literal(true),
    method: z.string().describe('Which factor was proven'),
    verification_token: z
      .string()
      .describe('An access token of the same session, with the new `acr` and `auth_time`'),
    token_type: z.literal('Bearer'),
    expires_in: z.number().describe('Seconds the token lives'),
    acr: z.string(),
    amr: z.array(z.string()),
    auth_time: z.number(),
    max_age: z.number().describe('Seconds from `auth_time` during which sensitive routes accept it'),
  })
  .meta({ id: 'SteppedUp' });

export const mfaStatusAnswer = z
  .object({
    user_id: z.string(),
    mfa_enabled: z.boolean(),
    methods: z.array(z.string()).describe('What answers the second factor now'),
    backup_codes_remaining: z.int(),
    pin_set: z.boolean(),
    factors: z.array(
      z.object({
        factor_id: z.string(),
        kind: z.string(),
        label: z.string().nullable(),
        state: z.string(),
        created_at: z.string(),
        last_used_at: z.string().nullable(),
      }),
    ),
  })
  .meta({ id: 'MfaStatus' });

type Listed = Awaited<ReturnType<FactorStore['list']>>;

export function mfaStatusContract(
  account: { id: string; mfa: boolean; pinSet: boolean },
  listed: Listed,
): z.infer<typeof mfaStatusAnswer> {
  const left = listed.find(({ kind }) => kind === 'backup_codes')?.left ?? 0;
  return {
    user_id: account.id,
    mfa_enabled: account.mfa,
    methods: listed
      .filter(({ kind, state }) => state === 'active' && (kind !== 'backup_codes' || left > 0))
      .map(({ kind }) => kind),
    backup_codes_remaining: left,
    pin_set: account.pinSet,
    factors: listed
      .filter(({ kind }) => kind !== 'backup_codes')
      .map((f) => ({
        factor_id: f.id,
        kind: f.kind,
        label: f.label,
        state: f.state,
        created_at: f.createdAt.toISOString(),
        last_used_at: f.lastUsedAt?.toISOString() ?? null,
      })),
  };
}
