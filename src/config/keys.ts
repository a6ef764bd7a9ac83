/** Key material and what tokens look like. Null keys are generated at start outside production, never guessed here. */
import { createPrivateKey } from 'node:crypto';
import { statSync } from 'node:fs';
import { keyBytes } from './parsers.ts';
import { ConfigError, type Environment, type Mistakes, readSecretFile } from './read.ts';
import { weakness } from './secret-strength.ts';
import type { Settings } from './variables.ts';

export type SigningAlgorithm = 'RS256' | 'ES256' | 'EdDSA';

/** A key file that everybody on the machine may read is no secret. */
function keyFile(variable: string, path: string): Buffer {
  const raw = readSecretFile(variable, path);
  if ((statSync(path).mode & 0o007) !== 0) {
    throw new ConfigError(variable, 'names a file that other users may read; use mode 0600');
  }
  const parsed = keyBytes(32).safeParse(raw);
  if (!parsed.success) {
    throw new ConfigError(variable, 'names a file that does not hold 32 bytes as hexadecimal or base64');
  }
  if (weakness(parsed.data)) throw new ConfigError(variable, 'names a file whose key is not random');
  return parsed.data;
}

function masterKey({ values: v, source, mistakes }: Settings): Buffer | null {
  if (v.MASTER_KEY !== null) return v.MASTER_KEY;
  // Only local keys are files: elsewhere the same variable names a key of the provider.
  const names = ['LOCAL_KMS_KEY_PATH', ...(v.KMS_PROVIDER === 'local' ? ['KMS_MASTER_KEY_ID'] : [])] as const;
  const name = names.find((one) => v[one as 'KMS_MASTER_KEY_ID'] !== null) as 'KMS_MASTER_KEY_ID' | undefined;
  return name === undefined ? null : mistakes.unless(() => keyFile(source(name) ?? name, v[name] ?? ''));
}

function algorithmOf(source: string, pem: string, mistakes: Mistakes): SigningAlgorithm | null {
  let key: ReturnType<typeof createPrivateKey>;
  try {
    key = createPrivateKey(pem);
  } catch (cause) {
    return mistakes.add(source, 'must be a private key in PEM form', { cause });
  }
  const { modulusLength = 0, namedCurve } = key.asymmetricKeyDetails ?? {};
  if (key.asymmetricKeyType === 'rsa' && modulusLength >= 2048) return 'RS256';
  if (key.asymmetricKeyType === 'ec' && namedCurve === 'prime256v1') return 'ES256';
  if (key.asymmetricKeyType === 'ed25519') return 'EdDSA';
  return mistakes.add(source, 'must be RSA of at least 2048 bits, EC P-256 or Ed25519');
}

/** The key's type decides; a wish for another algorithm beside it is a mistake worth stopping for. */
function signing({ values: v, source, mistakes }: Settings): SigningAlgorithm {
  const wished = v.JWT_ALGORITHM ?? (v.ALGORITHM === 'HS256' ? null : v.ALGORITHM);
  if (v.JWT_PRIVATE_KEY === null) return wished ?? 'RS256';
  const alg = algorithmOf(source('JWT_PRIVATE_KEY') ?? 'JWT_PRIVATE_KEY', v.JWT_PRIVATE_KEY, mistakes);
  if (wished !== null && alg !== null && wished !== alg) {
    const variable = v.JWT_ALGORITHM === null ? 'ALGORITHM' : 'JWT_ALGORITHM';
    mistakes.add(variable, 'does not match the type of JWT_PRIVATE_KEY');
  }
  return alg ?? 'RS256';
}

/** Sealing with another key than the one asked for would be a promise broken in silence. */
function kms({ values: v, source, mistakes }: Settings, environment: Environment) {
  const demand = (name: 'KMS_MASTER_KEY_ID' | 'VAULT_URL' | 'VAULT_TOKEN'): string => {
    const value = v[name];
    if (value === null) mistakes.add(name, `is required by KMS_PROVIDER=${v.KMS_PROVIDER}`);
    return value ?? '';
  };
  const local = v.LOCAL_KMS_KEYS ?? [];
  const named = source('LOCAL_KMS_KEYS') ?? 'LOCAL_KMS_KEYS';
  const file = named.endsWith('_FILE') ? environment[named]?.trim() : undefined;
  if (file && (statSync(file).mode & 0o007) !== 0)
    mistakes.add(named, 'names a file that other users may read; use mode 0600');
  if (local.some(({ id }) => id === 'local:1'))
    mistakes.add(named, 'must not name local:1, which is derived from MASTER_KEY');
  if (new Set(local.map(({ id }) => id)).size < local.length)
    mistakes.add(named, 'must not name a key twice');
  if (local.some(({ key }) => weakness(key))) mistakes.add(named, 'must hold random keys');
  return {
    /** Local master keys besides the derived one; the first wraps. */
    local,
    aws:
      v.KMS_PROVIDER === 'aws'
        ? { keyId: demand('KMS_MASTER_KEY_ID'), region: v.KMS_REGION, endpoint: v.KMS_ENDPOINT }
        : null,
    vault:
      v.KMS_PROVIDER === 'vault'
        ? {
            url: demand('VAULT_URL'),
            token: demand('VAULT_TOKEN'),
            key: v.KMS_MASTER_KEY_ID ?? 'vestibule',
          }
        : null,
  };
}

/** Proofs are signed with the same keys, for `proof:<project>`: access tokens must never be for one of those. */
function audience({ values: v, mistakes }: Settings): string {
  if (v.JWT_AUDIENCE.startsWith('proof:')) {
    mistakes.add('JWT_AUDIENCE', 'must not start with proof: as identity proofs do');
  }
  return v.JWT_AUDIENCE;
}

export function keysOf(settings: Settings, publicUrl: string, accessTtlS: number, environment: Environment) {
  const v = settings.values;
  return {
    /** 32 bytes. Null: generate and keep under `dataDir`. */
    masterKey: masterKey(settings),
    /** argon2 secret. Null: generate and keep under `dataDir`. */
    passwordPepper: v.PASSWORD_PEPPER,
    /** Key of the HMAC identity proof, used as UTF-8. Null: generate and keep under `dataDir`. */
    secretKey: v.SECRET_KEY,
    kms: kms(settings, environment),
    jwt: {
      issuer: v.JWT_ISSUER ?? publicUrl,
      audience: audience(settings),
      accessTtlS,
      alg: signing(settings),
      /** Null: generate one and keep it encrypted in the database. */
      privateKeyPem: v.JWT_PRIVATE_KEY,
      clientId: v.JWT_CLIENT_ID,
    },
  };
}
