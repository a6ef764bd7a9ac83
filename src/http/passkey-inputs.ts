/** WebAuthn responses as browsers serialise them (`PublicKeyCredential.toJSON()`), and the options they are made from. */
import type { AuthenticationResponseJSON, RegistrationResponseJSON } from '@simplewebauthn/server';
import { z } from 'zod';

const bytes = (max: number) =>
  z
    .string()
    .min(1)
    .max(max)
    .regex(/^[A-Za-z0-9_-]+$/, 'must be base64url');
/** A credential id has at most 1023 bytes. */
const credentialId = bytes(1364);
const clientDataJSON = bytes(4096).refine(isClientData, 'must be the client data of WebAuthn');

/** The library reads it before it checks anything. */
function isClientData(text: string): boolean {
  try {
    const data = JSON.parse(Buffer.from(text, 'base64url').toString());
    return (
      typeof data?.type === 'string' && typeof data.challenge === 'string' && typeof data.origin === 'string'
    );
  } catch {
    return false;
  }
}

const common = {
  id: credentialId,
  rawId: credentialId,
  type: z.literal('public-key'),
  authenticatorAttachment: z.enum(['platform', 'cross-platform']).nullish(),
  clientExtensionResults: z.record(z.string().max(64), z.unknown()).default({}),
};

export const registrationInput = z
  .strictObject({
    ...common,
    response: z.strictObject({
      clientDataJSON,
      attestationObject: bytes(16_384),
      authenticatorData: bytes(16_384).optional(),
      transports: z.array(z.string().max(32)).max(8).optional(),
      publicKey: bytes(4096).nullish(),
      publicKeyAlgorithm: z.int().optional(),
    }),
  })
  .meta({ id: 'PasskeyRegistration', description: 'What the browser made of the options' });

export const assertionInput = z
  .strictObject({
    ...common,
    response: z.strictObject({
      clientDataJSON,
      authenticatorData: bytes(4096),
      signature: bytes(2048),
      userHandle: bytes(128).nullish(),
    }),
  })
  .meta({ id: 'PasskeyAssertion', description: 'What the browser made of the options' });

export const passkeyOptions = z
  .record(z.string(), z.unknown())
  .describe('For `PublicKeyCredential.parseRequestOptionsFromJSON()` or `parseCreationOptionsFromJSON()`');

/** Members that a browser sends as null are absent to the library. */
const without = <T extends object>(value: T): T =>
  Object.fromEntries(Object.entries(value).filter(([, member]) => member !== null)) as T;

export const registrationOf = (input: z.infer<typeof registrationInput>): RegistrationResponseJSON =>
  ({ ...without(input), response: without(input.response) }) as RegistrationResponseJSON;

export const assertionOf = (input: z.infer<typeof assertionInput>): AuthenticationResponseJSON =>
  ({ ...without(input), response: without(input.response) }) as AuthenticationResponseJSON;
