/** The test vectors of Web Authentication Level 3: each registration and authentication is verified, or refused for its reason. */
import { existsSync, readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { verifyAuthenticationResponse, verifyRegistrationResponse } from '@simplewebauthn/server';
import { describe, expect, test } from 'vitest';

const file = join(process.env.VECTORS_DIR ?? resolve('../shared/vectors'), 'webauthn.json');
const present = existsSync(file);
type Hex = Record<string, string>;
type Vector = { id: string; registration: Hex; authentication: Hex };
const vectors: Vector[] = present ? JSON.parse(readFileSync(file, 'utf8')).vectors : [];

const VERIFIED = [
  'none-es256',
  'packed-self-es256',
  'none-es256-crossOrigin',
  'none-es256-long-credential-id',
  'packed-es256',
  'packed-es384',
  'packed-es512',
  'packed-rs256',
  'packed-eddsa',
];
/** With the message that says why. */
const REFUSED: Record<string, RegExp> = {
  'none-es256-topOrigin': /top origin/,
  'packed-ed448': /alg "-53"/,
  'tpm-es256': /TPM manufacturer/,
  'android-key-es256': /certificate path/,
  'apple-es256': /specified trust anchor/,
  'fido-u2f-es256': /AAGUID/,
};

const b64 = (hex = '') => Buffer.from(hex, 'hex').toString('base64url');
const common = {
  expectedOrigin: 'https://example.org',
  expectedRPID: 'example.org',
  requireUserVerification: false,
};
const envelope = ({ registration }: Vector) => {
  const id = b64(registration.credential_id);
  return { id, rawId: id, type: 'public-key' as const, clientExtensionResults: {} };
};
const register = (v: Vector) =>
  verifyRegistrationResponse({
    ...common,
    expectedChallenge: b64(v.registration.challenge),
    supportedAlgorithmIDs: [-8, -7, -35, -36, -257],
    response: {
      ...envelope(v),
      response: {
        clientDataJSON: b64(v.registration.clientDataJSON),
        attestationObject: b64(v.registration.attestationObject),
      },
    },
  });

/** Registration and authentication: verified, or the reason why not. */
async function both(v: Vector): Promise<string> {
  try {
    const { verified, registrationInfo } = await register(v);
    if (!verified || !registrationInfo) return 'no registration';
    const answer = await verifyAuthenticationResponse({
      ...common,
      expectedChallenge: b64(v.authentication.challenge),
      credential: { ...registrationInfo.credential, counter: 0 },
      response: {
        ...envelope(v),
        response: {
          clientDataJSON: b64(v.authentication.clientDataJSON),
          authenticatorData: b64(v.authentication.authenticatorData),
          signature: b64(v.authentication.signature),
        },
      },
    });
    return answer.verified ? 'verified' : 'no authentication';
  } catch (error) {
    return (error as Error).message;
  }
}

describe.skipIf(!present)(`WebAuthn vectors${present ? '' : ` (skipped: no ${file})`}`, () => {
  test('are fifteen, each with its verdict', () => {
    expect(vectors.map(({ id }) => id).sort()).toEqual([...VERIFIED, ...Object.keys(REFUSED)].sort());
  });

  test.each(vectors.filter(({ id }) => VERIFIED.includes(id)))('$id verifies', async (v) => {
    expect(await both(v)).toBe('verified');
  });

  test.each(vectors.filter(({ id }) => !VERIFIED.includes(id)))('$id is refused', async (v) => {
    expect(await both(v)).toMatch(REFUSED[v.id] ?? /no verdict/);
  });
});
