/**
 * Key pairs that sign access tokens. A key is good for one algorithm only, and its type decides which.
 * The private half leaves this process sealed by the KMS or not at all.
 */
import { createPrivateKey, createPublicKey, type KeyObject } from 'node:crypto';
import { calculateJwkThumbprint, exportJWK, generateKeyPair, type JWK } from 'jose';

export const SIGNING_ALGORITHMS = ['RS256', 'ES256', 'EdDSA'] as const;
export type SigningAlgorithm = (typeof SIGNING_ALGORITHMS)[number];

/** `next` is published but unused, `active` signs, `retiring` still verifies, `retired` is refused. */
export type KeyStatus = 'next' | 'active' | 'retiring' | 'retired';

export type KeyPair = {
  /** RFC 7638 thumbprint. */
  kid: string;
  alg: SigningAlgorithm;
  publicJwk: JWK;
  privateJwk: JWK;
};

/** A fresh pair. RSA has 2048 bits unless told otherwise; 3072 signs four times slower. */
export async function generateSigningKey(
  alg: SigningAlgorithm,
  { modulusLength = 2048 }: { modulusLength?: 2048 | 3072 } = {},
): Promise<KeyPair> {
  const { publicKey, privateKey } = await generateKeyPair(alg, { extractable: true, modulusLength });
  const [publicJwk, privateJwk] = await Promise.all([exportJWK(publicKey), exportJWK(privateKey)]);
  return { kid: await calculateJwkThumbprint(publicJwk), alg, publicJwk, privateJwk };
}

/** Reads a private key (PKCS #8, PKCS #1 or SEC 1 PEM). Throws when it is none, too short or of a type not signed with. */
export async function importSigningKey(pem: string): Promise<KeyPair> {
  const privateKey = readPem(pem);
  const alg = algorithmOf(privateKey);
  const publicJwk = createPublicKey(privateKey).export({ format: 'jwk' }) as JWK;
  const privateJwk = privateKey.export({ format: 'jwk' }) as JWK;
  return { kid: await calculateJwkThumbprint(publicJwk), alg, publicJwk, privateJwk };
}

function readPem(pem: string): KeyObject {
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    throw new Error('The signing key is not a readable, unencrypted private key in PEM form', { cause });
  }
}

function algorithmOf({
  asymmetricKeyType: type,
  asymmetricKeyDetails: details,
}: KeyObject): SigningAlgorithm {
  if (type === 'rsa') {
    if ((details?.modulusLength ?? 0) >= 2048) return 'RS256';
    throw new Error('The RSA signing key is shorter than 2048 bits');
  }
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256';
  if (type === 'ed25519') return 'EdDSA';
  throw new Error('The signing key must be RSA, EC on P-256 or Ed25519');
}
