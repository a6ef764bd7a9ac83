/**
 * Keeps the signing keys of all replicas in step through one store: created once, published before use, kept after use.
 * Whatever two replicas do at the same time ends with one active key. Private keys rest sealed by the KMS.
 */
import { type CryptoKey, importJWK, type JWK } from 'jose';
import type { Clock } from '../clock.ts';
import type { KmsPort } from '../kms.ts';
import { Problem } from '../problems.ts';
import { type ActiveKeys, JWKS_MAX_AGE_S, type VerifyingKey } from './active-keys.ts';
import {
  generateSigningKey,
  importSigningKey,
  type KeyPair,
  type KeyStatus,
  type SigningAlgorithm,
} from './signing-keys.ts';

export type StoredKey = {
  kid: string;
  alg: SigningAlgorithm;
  status: KeyStatus;
  publicJwk: JWK;
  /** The private JWK sealed under the context `signing-key:<kid>`. */
  privateSealed: string;
  /** Milliseconds since the epoch. */
  createdAt: number;
  /** When `status` last changed. */
  changedAt: number;
};

export interface KeyStore {
  load(): Promise<StoredKey[]>;
  /** Throws Problem `conflict` when the kid exists, or another key already is `active` or `next` as this one would be. */
  insert(key: StoredKey): Promise<void>;
  setStatus(kid: string, status: KeyStatus, at: number): Promise<void>;
}

export type KeyManagerOptions = {
  store: KeyStore;
  kms: KmsPort;
  /** For keys created from now on; a configured key overrides it by its type. */
  alg: SigningAlgorithm;
  modulusLength?: 2048 | 3072;
  /** Adopted as the active key the first time it is seen; later rotations stand. */
  configuredPem?: string;
  clock: Clock;
};

export interface KeyManager {
  /** The keys as of the last load; cheap enough for every request. */
  keys(): ActiveKeys;
  /** Loads again and makes sure that a next key is published. To be called every 5 seconds. */
  refresh(): Promise<void>;
  /** Next becomes active, active retires. Throws `conflict` with `retryAfter` while next is not yet published long enough. */
  rotate(): Promise<void>;
  /** Emergency: refuses a key from now on (elsewhere at the next refresh). Throws `not_found`. */
  withdraw(kid: string): Promise<void>;
}

/** How often replicas refresh: for so long one of them may not know what another has done. */
export const KEY_REFRESH_S = 5;
const PUBLISH_MS = (JWKS_MAX_AGE_S + KEY_REFRESH_S) * 1000;
/** Longest access token life, its leeway, and the time others may still use or cache the key. */
const KEEP_MS = (900 + 30 + JWKS_MAX_AGE_S + KEY_REFRESH_S) * 1000;

/** Loads the keys, or creates the first. Rejects when the store or the KMS cannot be used. */
export async function createKeyManager(options: KeyManagerOptions): Promise<KeyManager> {
  const { store, kms, clock, configuredPem } = options;
  const configured = configuredPem === undefined ? null : await importSigningKey(configuredPem);
  const alg = configured?.alg ?? options.alg;
  const size = options.modulusLength && { modulusLength: options.modulusLength };
  let current: ActiveKeys | undefined;

  const create = () => generateSigningKey(alg, size);
  const change = (key: StoredKey, status: KeyStatus) => store.setStatus(key.kid, status, clock.now());

  async function insert({ kid, alg, publicJwk, privateJwk }: KeyPair, status: KeyStatus): Promise<void> {
    const privateSealed = await kms.encrypt(JSON.stringify(privateJwk), sealingContext(kid));
    const now = clock.now();
    try {
      await store.insert({ kid, alg, status, publicJwk, privateSealed, createdAt: now, changedAt: now });
    } catch (error) {
      // Another replica was first; its key is as good.
      if (!(error instanceof Problem && error.code === 'conflict')) throw error;
    }
  }

  async function publishNext(): Promise<void> {
    const next = pick(await store.load(), 'next');
    if (next?.alg === alg) return;
    if (next) await change(next, 'retired');
    await insert(await create(), 'next');
  }

  async function ensureActive(): Promise<void> {
    const stored = await store.load();
    if (pick(stored, 'active')) return;
    const next = pick(stored, 'next');
    if (next) await change(next, 'active');
    else await insert(configuredIfNew(stored) ?? (await create()), 'active');
  }

  const configuredIfNew = (stored: StoredKey[]): KeyPair | null =>
    configured && !stored.some(({ kid }) => kid === configured.kid) ? configured : null;

  async function adoptConfigured(): Promise<void> {
    const stored = await store.load();
    const fresh = configuredIfNew(stored);
    if (!fresh) return;
    const active = pick(stored, 'active');
    if (active) await change(active, 'retiring');
    await insert(fresh, 'active');
  }

  async function reload(): Promise<StoredKey[]> {
    const now = clock.now();
    const stored = await store.load();
    const usable = stored.filter(
      ({ status, changedAt }) => status !== 'retired' && (status !== 'retiring' || now < changedAt + KEEP_MS),
    );
    const active = pick(usable, 'active');
    if (!active) throw new Error('The store holds no active signing key');
    const verifying = await Promise.all(
      [active, ...usable.filter((key) => key !== active)].map(
        async (key) => [key.kid, current?.verifying.get(key.kid) ?? (await verifyingKey(key))] as const,
      ),
    );
    const signing =
      current?.signing.kid === active.kid
        ? current.signing
        : { ...naming(active), privateKey: await unseal(active, kms) };
    current = { signing, verifying: new Map(verifying) };
    return stored;
  }

  await adoptConfigured();
  await ensureActive();
  await reload();

  return {
    keys: () => current!,

    async refresh() {
      // A replica may have died between retiring one key and activating the next.
      await ensureActive();
      const stored = await reload();
      if (pick(stored, 'next')?.alg === alg) return;
      await publishNext();
      await reload();
    },

    async rotate() {
      const stored = await store.load();
      const next = pick(stored, 'next');
      const wait = next ? next.createdAt + PUBLISH_MS - clock.now() : PUBLISH_MS;
      if (!next) await publishNext();
      if (!next || wait > 0)
        throw new Problem('conflict', {
          detail: 'The next key has not been published long enough; rotate again later',
          retryAfter: Math.ceil(wait / 1000),
        });
      for (const active of stored.filter(({ status }) => status === 'active'))
        await change(active, 'retiring');
      await change(next, 'active');
      for (const key of stored)
        if (key.status === 'retiring' && clock.now() >= key.changedAt + KEEP_MS) await change(key, 'retired');
      await publishNext();
      await reload();
    },

    async withdraw(kid) {
      const key = (await store.load()).find((stored) => stored.kid === kid);
      if (!key) throw new Problem('not_found');
      await change(key, 'retired');
      await ensureActive();
      await publishNext();
      await reload();
    },
  };
}

const sealingContext = (kid: string): string => `signing-key:${kid}`;

const naming = ({ kid, alg }: StoredKey) => ({ kid, alg });

const pick = (keys: StoredKey[], status: KeyStatus): StoredKey | undefined =>
  keys.find((key) => key.status === status);

const verifyingKey = async (key: StoredKey): Promise<VerifyingKey> => ({
  ...naming(key),
  publicJwk: key.publicJwk,
  publicKey: (await importJWK(key.publicJwk, key.alg)) as CryptoKey,
});

async function unseal(key: StoredKey, kms: KmsPort): Promise<CryptoKey> {
  const jwk = JSON.parse(await kms.decrypt(key.privateSealed, sealingContext(key.kid))) as JWK;
  return (await importJWK({ ...jwk, ext: false }, key.alg)) as CryptoKey;
}
