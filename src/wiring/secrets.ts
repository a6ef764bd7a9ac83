/** Everything that holds or uses a secret: derived keys, sealing, signing, hashing, and what may be proven with them. */

import { createAdapters } from '../adapters/index.ts';
import { createKeeper } from '../adapters/kms.ts';
import { createLocalKms } from '../adapters/kms-local.ts';
import type { Config } from '../config/index.ts';
import { createFactors } from '../engine/factors/index.ts';
import { createPasskeys } from '../engine/factors/passkey.ts';
import { createProofs } from '../engine/proofs.ts';
import { durableWindows } from '../engine/rules.ts';
import type { Clock } from '../kernel/clock.ts';
import { createKeyring } from '../kernel/crypto/keyring.ts';
import type { Secrets } from '../kernel/crypto/secrets-file.ts';
import { createHasher } from '../kernel/hashing/index.ts';
import type { KmsPort } from '../kernel/kms.ts';
import { createKeyManager, createTokens } from '../kernel/tokens/index.ts';
import { createKeyStore } from '../kernel/tokens/key-store.ts';
import { createVault } from '../kernel/vault/vault.ts';
import type { Stores } from './stores.ts';

export type Crypto = Awaited<ReturnType<typeof openCrypto>>;

const DEMO_LOCK_MS = 60_000;
const LOCK_MS = 3_600_000;

/** Loads or makes the signing keys. @throws DecryptionError when the database belongs to another master key */
export async function openCrypto(config: Config, secrets: Secrets, clock: Clock, stores: Stores) {
  const { code, hash, jwt } = config;
  const keyring = createKeyring(secrets.masterKey);
  const derived = { id: 'local:1', key: keyring.key('kek') };
  // What the service keeps for itself must open without the KMS of the configuration: tokens are signed while the KMS is away.
  const own = createLocalKms({ keys: [derived], activeId: derived.id });
  const keeper = createKeeper(config.kms, derived);
  const vault = createVault({ wrapper: keeper, legacy: own });
  const keys = await createKeyManager({
    store: createKeyStore(stores.signingKeys),
    kms: own,
    alg: jwt.alg,
    ...(jwt.privateKeyPem === null ? {} : { configuredPem: jwt.privateKeyPem }),
    clock,
  });
  const hasher = createHasher({
    threads: hash.threads,
    queueLimit: hash.queue,
    params: { memoryCost: hash.memoryKib, timeCost: hash.iterations, parallelism: hash.parallelism },
    pepper: secrets.passwordPepper,
  });
  const adapters = createAdapters(config, clock);
  const windows = durableWindows(config);
  const factors = createFactors({ keyring, kms: vault });
  const passkeys = createPasskeys({
    key: keyring.key('passkey_challenge'),
    rp: config.passkeys,
    ttlMs: config.flow.challengeTtlS * 1000,
  });
  const proofs = createProofs({
    keyring,
    factors,
    rules: {
      demo: config.demo,
      codeTtlMs: code.ttlS * 1000,
      mailCodeTtlMs: code.emailTtlS * 1000,
      codeAttempts: code.attempts,
      openAttempts: code.attempts,
      lockMs: config.demo ? DEMO_LOCK_MS : LOCK_MS,
      stepUpAttempts: code.secondFactorAttempts,
      stepUpTtlMs: config.flow.challengeTtlS * 1000,
      ...windows,
      risk: adapters.riskRules,
      externalRisk: adapters.risk !== null,
    },
  });
  return {
    keyring,
    /** Seals what people entrust to the service; values from before the vault still open. */
    kms: vault as KmsPort,
    vault,
    keeper,
    /** Seals what is the service's own, under a key derived from the master key. */
    ownKms: own as KmsPort,
    keys,
    tokens: createTokens({ ...jwt, keys: () => keys.keys(), clock }),
    hasher,
    adapters,
    windows,
    factors,
    passkeys,
    proofs,
    /** Keyed hash of an address or identifier in a limit's key. */
    limitKey: (text: string) => keyring.lookupHash('limit', text),
  };
}
