/** No setting is a promise without a product behind it: a variable changes the configuration, the product reads all of that. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { loadConfig } from '../src/config/index.ts';
import { VARIABLES } from '../src/config/variables.ts';

const folder = mkdtempSync(join(tmpdir(), 'vestibule-settings-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const keyFile = join(folder, 'key');
const key = randomBytes(32).toString('hex');
writeFileSync(keyFile, key, { mode: 0o600 });

/** One of them is right for each variable, and is not its default. */
const VALUES = [
  ...['true', 'false', '2', '3', '7', '45', '61', '20', '20000', '9/2h'],
  ...[
    'GB',
    'test',
    'lax',
    'nist',
    'debug',
    'json',
    'ES256',
    'local',
    'smtp',
    'http',
    'twilio',
    'transaction',
    'kite',
    'aws',
  ],
  ...['+882', 'a@b.test', '10.0.0.0/8', 'https://a.test', 'require', 'Some-text', '#00aa00', keyFile],
  ...['postgresql://u@h/n', 'redis://h', key, `local:2=${key}`],
  generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string,
];

/** What some variables need beside them before they can matter. */
const SURROUNDINGS: Record<string, string>[] = [
  {},
  { DB_HOST: 'db', DB_USER: 'u', DB_PASS: 'p', DB_NAME: 'n' },
  { DATABASE_URL: `postgresql://u@db/n?sslmode=require` },
  { DATABASE_URL: `postgresql://u@db/n?sslmode=require&sslcert=${keyFile}` },
  { DATABASE_URL: `postgresql://u@db/n?sslmode=require&sslkey=${keyFile}` },
  { REDIS_HOST: 'redis' },
  { KMS_PROVIDER: 'aws', KMS_MASTER_KEY_ID: 'key' },
  { KMS_PROVIDER: 'vault', KMS_MASTER_KEY_ID: 'key', VAULT_URL: 'https://v.test', VAULT_TOKEN: 't' },
  {
    ...{ TWILIO_ACCOUNT_SID: 'A', TWILIO_AUTH_TOKEN: 'B', TWILIO_FROM: 'C', SMTP_HOST: 'h' },
    ...{ KYC_URL: 'https://k.test', KYC_SECRET: 's', KYC_WEBHOOK_SECRET: 'w' },
    ...{ RISK_URL: 'https://r.test', RISK_SECRET: 's', DEMO_MODE: 'false' },
    ...{ KMS_MASTER_KEY_ID: keyFile },
  },
];

const configOf = (env: Record<string, string>): string => {
  try {
    return JSON.stringify(loadConfig(env));
  } catch {
    return 'refused';
  }
};

/** Accepts one value only, which is the default. */
const FIXED = ['SESSION_COOKIE_HTTPONLY'];

test.each(Object.keys(VARIABLES).filter((name) => !FIXED.includes(name)))(
  '%s changes the configuration',
  (name) => {
    const changes = SURROUNDINGS.some((around) => {
      const before = configOf(around);
      return VALUES.some((value) => !['refused', before].includes(configOf({ ...around, [name]: value })));
    });
    expect(changes).toBe(true);
  },
);

test.each(FIXED)('%s is refused with any other value than its default', (name) => {
  expect(VALUES.filter((value) => configOf({ [name]: value }) !== 'refused')).toEqual(
    VALUES.filter((value) => value === VARIABLES[name as keyof typeof VARIABLES].default),
  );
});

describe('every entry of the configuration', () => {
  const root = new URL('../src/', import.meta.url);
  const source = (file: string): string =>
    readFileSync(new URL(file, root), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  const product = readdirSync(root, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts') && !/^config[./]/.test(name))
    .map(source)
    .join('\n');

  /** Groups handed over whole, to what the files named here export; the entry must be named there. */
  const WHOLE: Record<string, string[]> = {
    brand: ['features/notices/layout/letter.ts'],
    cors: ['http/cors.ts'],
    kms: ['adapters/kms.ts', 'adapters/index.ts', 'wiring/secrets.ts'],
    broker: ['adapters/index.ts', 'adapters/broker-kite.ts'],
    hash: ['wiring/secrets.ts', 'kernel/hashing/hasher.ts', 'kernel/hashing/pool.ts'],
    limits: ['http/limits/policy.ts', 'engine/rules.ts', 'wiring/http.ts', 'http/reauthentication.ts'],
    jwt: ['kernel/tokens/access-tokens.ts', 'wiring/secrets.ts'],
    passkeys: ['engine/factors/passkey.ts'],
  };

  const isGroup = (value: unknown): value is Record<string, unknown> =>
    typeof value === 'object' && value !== null && !Array.isArray(value) && !Buffer.isBuffer(value);
  /** A limit is one entry: its two numbers are no settings of their own. */
  const entries = (value: unknown, path: string[] = []): string[][] =>
    isGroup(value) && !('windowMs' in value)
      ? Object.entries(value).flatMap(([name, inner]) => entries(inner, [...path, name]))
      : [path];

  test.each(entries(loadConfig({})).map((path) => path.join('.')))(
    '%s is read outside src/config',
    (path) => {
      const names = path.split('.');
      const name = names.at(-1) ?? '';
      const group = names.at(-2) ?? 'config';
      const patterns = [
        `\\b${group}\\??\\.${name}\\b`,
        `\\b${group}: \\{[^{}]*\\b${name}\\b`,
        `\\{[^{}]*\\b${name}\\b[^{}]*\\}(?: = (?:\\w+\\.)*${group}\\b|: (?:Pick<Config|Config|Services\\['config'\\]))`,
      ];
      const whole = (WHOLE[group] ?? []).some((file) => new RegExp(`\\b${name}\\b`).test(source(file)));
      expect(whole || patterns.some((pattern) => new RegExp(pattern).test(product))).toBe(true);
    },
  );
});
