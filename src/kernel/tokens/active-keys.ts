/** The keys in force at one moment, ready to use, and what the world may see of them. Never holds an exportable secret. */
import type { CryptoKey, JWK } from 'jose';
import type { SigningAlgorithm } from './signing-keys.ts';

export type VerifyingKey = { kid: string; alg: SigningAlgorithm; publicKey: CryptoKey; publicJwk: JWK };

export type ActiveKeys = {
  signing: { kid: string; alg: SigningAlgorithm; privateKey: CryptoKey };
  /** Next, active and retiring keys; whatever is not in here was never ours or is so no longer. */
  verifying: ReadonlyMap<string, VerifyingKey>;
};

export type PublicJwks = { keys: JWK[] };

const PUBLIC_MEMBERS = ['kty', 'n', 'e', 'crv', 'x', 'y'] as const;

/** Seconds a JWKS answer may be cached; keys are published this long before use and kept this long after. */
export const JWKS_MAX_AGE_S = 300;

/** RFC 7517 document of every verifying key, public members only. */
export function jwks(keys: ActiveKeys): PublicJwks {
  return {
    keys: Array.from(keys.verifying.values(), ({ kid, alg, publicJwk }) => ({
      ...Object.fromEntries(
        PUBLIC_MEMBERS.filter((name) => publicJwk[name] !== undefined).map((name) => [name, publicJwk[name]]),
      ),
      kid,
      use: 'sig',
      alg,
    })) as JWK[],
  };
}
