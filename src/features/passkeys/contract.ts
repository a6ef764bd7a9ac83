/** Passkeys over HTTP: strict requests, and what their owner sees of each. No key and no handle of a device leaves here. */
import { z } from 'zod';
import type { FactorStore } from '../../../db/factors.ts';
import { flowFields } from '../../http/actions.ts';
import { labelInput, passwordInput } from '../../http/inputs.ts';
import { passkeyOptions, registrationInput } from '../../http/passkey-inputs.ts';

const label = labelInput.describe('How its owner tells it from others');

export const registerPasskeyBody = z
  .strictObject({
    password: passwordInput
      .optional()
      .describe('Instead of a login within the last five minutes; not where a second factor is set up'),
    label: label.optional(),
  })
  .nullish()
  .meta({ id: 'RegisterPasskey', examples: [{ label: 'My phone' }] });

export const registerPasskeyAnswer = z
  .object({
    ...flowFields,
    factor_id: z.string(),
    options: passkeyOptions,
    expires_in: z.number().describe('Seconds the challenge lives'),
  })
  .meta({ id: 'PasskeyOptions' });

export const confirmPasskeyBody = z.strictObject({ credential: registrationInput }).meta({
  id: 'ConfirmPasskey',
  // The shape of what a browser makes; a real one answers the challenge of the options.
  examples: [
    {
      credential: {
        id: 'AAAA',
        rawId: 'AAAA',
        type: 'public-key',
        clientExtensionResults: {},
        response: {
          clientDataJSON:
            'eyJ0eXBlIjoid2ViYXV0aG4uY3JlYXRlIiwiY2hhbGxlbmdlIjoiQUFBQSIsIm9yaWdpbiI6Imh0dHBzOi8vYXBwLmV4YW1wbGUifQ',
          attestationObject: 'AAAA',
        },
      },
    },
  ],
});
export const renamePasskeyBody = z.strictObject({ label }).meta({ id: 'RenamePasskey' });
export const passkeyParams = z.strictObject({ id: z.uuid() });

const passkey = z
  .object({
    factor_id: z.string(),
    label: z.string().nullable(),
    synced: z.boolean().describe('Its provider may copy it to other devices of its owner'),
    backed_up: z.boolean().describe('It was copied when it was last used'),
    aaguid: z.string().nullable().describe('Model of the authenticator, as it says itself'),
    created_at: z.string(),
    last_used_at: z.string().nullable(),
  })
  .meta({ id: 'Passkey' });

export const confirmPasskeyAnswer = z
  .object({
    factor_id: z.string(),
    state: z.string(),
    passkeys: z.array(passkey),
    backup_codes: z
      .array(z.string())
      .optional()
      .describe('With the first second factor: each works once; shown now and never again'),
  })
  .meta({ id: 'PasskeyConfirmed' });

export const passkeysAnswer = z.object({ passkeys: z.array(passkey) }).meta({ id: 'Passkeys' });
export const removedAnswer = z
  .object({ mfa_enabled: z.boolean(), message: z.string() })
  .meta({ id: 'PasskeyRemoved' });
export const wellKnownAnswer = z.object({ origins: z.array(z.string()) }).meta({ id: 'RelatedOrigins' });

export const passkeysContract = (
  listed: Awaited<ReturnType<FactorStore['list']>>,
): z.infer<typeof passkeysAnswer> => ({
  passkeys: listed
    .filter(({ kind }) => kind === 'passkey')
    .map(({ id, details, ...f }) => ({
      factor_id: id,
      label: f.label,
      synced: details.backupEligible === true,
      backed_up: details.backedUp === true,
      aaguid: typeof details.aaguid === 'string' ? details.aaguid : null,
      created_at: f.createdAt.toISOString(),
      last_used_at: f.lastUsedAt?.toISOString() ?? null,
    })),
});
