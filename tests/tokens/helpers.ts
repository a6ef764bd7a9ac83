/** What these tests need around the code under test: a store in memory, a sealing box, and a forger of raw tokens. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';
import type { KmsPort } from '../../src/kernel/kms.ts';
import { Problem } from '../../src/kernel/problems.ts';
import {
  type AccessGrant,
  createKeyManager,
  createTokens,
  type KeyManager,
  type KeyManagerOptions,
  type KeyStore,
  type StoredKey,
} from '../../src/kernel/tokens/index.ts';

export const ISSUER = 'https://id.example.com';
export const AUDIENCE = 'example-api';
export const CLIENT = 'example-web';

export const GRANT: AccessGrant = {
  accountId: '0197a5d2-5c1e-7000-8000-000000000001',
  sessionId: '0197a5d2-5c1e-7000-8000-000000000002',
  tier: 'FULL',
  scope: ['read', 'trade'],
  roles: ['user'],
  acr: 'aal1',
  amr: ['pwd'],
  authTime: 1_790_000_000_999,
  mfa: false,
};

export type MemoryStore = KeyStore & { rows: Map<string, StoredKey> };

/** Answers asynchronously and refuses a second active or next key, as a unique index does. */
export function memoryStore(): MemoryStore {
  const rows = new Map<string, StoredKey>();
  const turn = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    rows,
    async load() {
      await turn();
      return structuredClone([...rows.values()]);
    },
    async insert(key) {
      await turn();
      const taken = [...rows.values()].some(({ status }) => status === key.status && status !== 'retiring');
      if (rows.has(key.kid) || taken) throw new Problem('conflict');
      rows.set(key.kid, structuredClone(key));
    },
    async setStatus(kid, status, at) {
      await turn();
      Object.assign(rows.get(kid)!, { status, changedAt: at });
    },
  };
}

export function boxKms(key = randomBytes(32)): KmsPort {
  return {
    async encrypt(plaintext, context) {
      const iv = randomBytes(12);
      const cipher = createCipheriv('aes-256-gcm', key, iv).setAAD(Buffer.from(context));
      const sealed = Buffer.concat([cipher.update(plaintext), cipher.final()]);
      return Buffer.concat([iv, cipher.getAuthTag(), sealed]).toString('base64');
    },
    async decrypt(ciphertext, context) {
      const bytes = Buffer.from(ciphertext, 'base64');
      const opener = createDecipheriv('aes-256-gcm', key, bytes.subarray(0, 12));
      opener.setAAD(Buffer.from(context)).setAuthTag(bytes.subarray(12, 28));
      return Buffer.concat([opener.update(bytes.subarray(28)), opener.final()]).toString();
    },
  };
}

export async function setUp(options: Partial<KeyManagerOptions> = {}) {
  const store = memoryStore();
  const kms = boxKms();
  const clock = systemClock();
  const manager = await createKeyManager({ store, kms, clock, alg: 'ES256', ...options });
  return { store, kms, clock, manager, tokens: tokensWith(manager, clock) };
}

export const tokensWith = (manager: KeyManager, clock: Clock, rememberLimit = 100) =>
  createTokens({
    issuer: ISSUER,
    audience: AUDIENCE,
    clientId: CLIENT,
    accessTtlS: 900,
    keys: manager.keys,
    clock,
    rememberLimit,
  });

export const b64 = (value: string | Uint8Array): string => Buffer.from(value).toString('base64url');

/** Any header and payload, signed by any function: what an attacker can put on the wire. */
export function forge(header: unknown, payload: unknown, sign: (input: Buffer) => Uint8Array): string {
  const input = `${b64(JSON.stringify(header))}.${b64(JSON.stringify(payload))}`;
  return `${input}.${b64(sign(Buffer.from(input)))}`;
}

export function decode(token: string): { header: Record<string, unknown>; payload: Record<string, unknown> } {
  const [header, payload] = token.split('.').map((part) => Buffer.from(part, 'base64url').toString());
  return { header: JSON.parse(header!), payload: JSON.parse(payload!) };
}
