/** The environment's contract: every documented name is read, every unsafe value stops the start, no value is echoed. */
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { envExample } from '../src/config/document.ts';
import { NOT_AVAILABLE, WITHOUT_EFFECT } from '../src/config/ignored.ts';
import {
  type Config,
  ConfigError,
  configurationTable,
  ignoredVariables,
  loadConfig,
} from '../src/config/index.ts';
import { defaultLimits, demoLimits } from '../src/config/limit-numbers.ts';
import { text } from '../src/config/parsers.ts';
import { optional, read } from '../src/config/read.ts';
import { VARIABLES } from '../src/config/variables.ts';
import { loadOrCreateSecrets, SECRETS_FILE } from '../src/kernel/crypto/secrets-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'vestibule-config-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

type Env = Record<string, string | undefined>;
const hex = (bytes = 32) => randomBytes(bytes).toString('hex');

const production: Env = {
  NODE_ENV: 'production',
  PUBLIC_URL: 'https://id.bank.test',
  DATABASE_URL: `postgresql://vestibule:${hex(12)}@db:5432/vestibule`,
  REDIS_URL: 'redis://redis:6379/0',
  MASTER_KEY: hex(),
  PASSWORD_PEPPER: hex(),
  SECRET_KEY: hex(),
  SMS_ADAPTER: 'twilio',
  TWILIO_ACCOUNT_SID: 'AC1',
  TWILIO_AUTH_TOKEN: hex(16),
  TWILIO_FROM: '+15005550006',
  SMTP_HOST: 'mail.bank.test',
  KYC_ADAPTER: 'http',
  KYC_URL: 'https://kyc.bank.test',
  KYC_SECRET: hex(),
  KYC_WEBHOOK_SECRET: hex(),
};

function refusal(env: Env): ConfigError {
  try {
    loadConfig(env);
  } catch (error) {
    if (error instanceof ConfigError) return error;
    throw error;
  }
  throw new Error('the configuration was accepted');
}

/** Variables of the documented deployments, with the values those documents show. */
const DOCUMENTED = {
  'code service': `PROJECT_NAME=Authentication Microservice
SECRET_KEY=your-super-secret-key
POSTGRES_SERVER=auth-service-db
POSTGRES_USER=postgres
POSTGRES_PASSWORD=postgres
POSTGRES_DB=auth_db
POSTGRES_PORT=5432
REDIS_HOST=auth-service-redis
REDIS_PORT=6379
SMTP_HOST=smtp.gmail.com
SMTP_PORT=587
SMTP_USER=your-email@gmail.com
SMTP_PASSWORD=your-app-password
EMAILS_FROM_EMAIL=noreply@example.com
EMAILS_FROM_NAME=Auth Service`,
  'balance hub': `DB_USER=postgres
DB_PASS=your_password
DB_HOST=localhost
DB_PORT=5432
DB_NAME=auth_system_db
SECRET_KEY=your_super_secret_jwt_key_32_characters_minimum
ALGORITHM=HS256
ACCESS_TOKEN_EXPIRE_MINUTES=30
APP_NAME=Auth System
DEBUG=False
FRONTEND_URL=http://localhost:3000
MAIL_FROM=hub@domain.test
MAIL_FROM_NAME=Auth System
SENDGRID_API_KEY=your_sendgrid_api_key
REDIS_HOST=localhost
REDIS_PORT=6379
REDIS_URL=redis://localhost:6379/0
SENTRY_DSN=https://key@sentry.test/1
EMAIL_VERIFICATION_CODE_EXPIRY_MINUTES=15`,
  'user service': `APP_NAME=user_service
VERSION=1.0.0
ENVIRONMENT=development
DEBUG=false
DATABASE_URL=postgresql://user:pass@localhost:5432/user_service
DATABASE_POOL_SIZE=20
DATABASE_MAX_OVERFLOW=10
DATABASE_POOL_TIMEOUT=30
REDIS_URL=redis://localhost:6379/0
REDIS_POOL_SIZE=50
REDIS_SESSION_TTL_DAYS=90
REDIS_SESSION_INACTIVITY_DAYS=14
JWT_SIGNING_KEY_ID=key-001
JWT_ACCESS_TOKEN_TTL_MINUTES=15
JWT_REFRESH_TOKEN_TTL_DAYS=90
JWT_ALGORITHM=RS256
JWT_ISSUER=user_service
JWT_AUDIENCE=trading_platform
KMS_PROVIDER=local
KMS_MASTER_KEY_ID=${join(folder, 'documented.key')}
LOCAL_KMS_KEY_PATH=${join(folder, 'documented.key')}
GOOGLE_OAUTH_CLIENT_ID=your_client_id.apps.googleusercontent.com
GOOGLE_OAUTH_CLIENT_SECRET=your_client_secret
GOOGLE_OAUTH_REDIRECT_URI=http://localhost:8001/v1/auth/oauth/google/callback
SMTP_HOST=smtp.gmail.com
SMTP_PORT=587
SMTP_USERNAME=noreply@example.com
SMTP_PASSWORD=app_password
SMTP_FROM=noreply@example.com
SMTP_TLS=true
RATELIMIT_LOGIN_ATTEMPTS=5
RATELIMIT_LOGIN_WINDOW_MINUTES=15
RATELIMIT_REGISTER_ATTEMPTS=5
RATELIMIT_REGISTER_WINDOW_HOURS=1
RATELIMIT_REFRESH_ATTEMPTS=10
RATELIMIT_REFRESH_WINDOW_MINUTES=1
PASSWORD_MIN_LENGTH=12
PASSWORD_BCRYPT_COST=12
PASSWORD_RESET_TOKEN_TTL_MINUTES=30
MFA_TOTP_WINDOW_SECONDS=30
SESSION_COOKIE_NAME=__Secure-refresh_token
SESSION_COOKIE_SECURE=true
SESSION_COOKIE_HTTPONLY=true
SESSION_COOKIE_SAMESITE=strict
CORS_ALLOWED_ORIGINS=http://localhost:3000,http://localhost:5173
CORS_ALLOW_CREDENTIALS=true
LOG_LEVEL=INFO
LOG_FORMAT=json
SENTRY_DSN=
FEATURE_GOOGLE_OAUTH=true
FEATURE_MFA_TOTP=true
FEATURE_SHARED_ACCOUNTS=true
KITE_API_BASE_URL=https://api.kite.trade
KITE_API_TIMEOUT_SECONDS=10
KITE_API_MAX_RETRIES=3
TICKER_SERVICE_URL=http://ticker_service:8002
ALERT_SERVICE_URL=http://alert_service:8003
BACKEND_SERVICE_URL=http://backend:8000`,
};

const parse = (lines: string): Env =>
  Object.fromEntries(lines.split('\n').map((line) => line.split(/=(.*)/s, 2)));
const keyFile = (name: string, content: string, mode = 0o600): string => {
  writeFileSync(join(folder, name), content, { mode });
  return join(folder, name);
};
keyFile('documented.key', hex());

describe('documented deployments', () => {
  const names = new Set([
    ...Object.entries(VARIABLES).flatMap(([name, { aliases }]) => [name, ...aliases]),
    ...Object.keys(WITHOUT_EFFECT),
    ...NOT_AVAILABLE,
  ]);

  test.each(Object.entries(DOCUMENTED))(
    'every variable of the %s is read or known to be ignored, and its documented value is accepted',
    (_, shown) => {
      const env = parse(shown);
      expect(Object.keys(env).filter((name) => !names.has(name))).toEqual([]);
      expect(loadConfig(env).env).toBe('development');
    },
  );

  test('the values of the user service arrive where they belong', () => {
    const config = loadConfig(parse(DOCUMENTED['user service']));
    expect(config).toMatchObject({
      appName: 'user_service',
      version: '1.0.0',
      demo: false,
      database: { url: 'postgresql://user:pass@localhost:5432/user_service', poolSize: 30 },
      redis: { url: 'redis://localhost:6379/0' },
      jwt: {
        issuer: 'user_service',
        audience: 'trading_platform',
        accessTtlS: 900,
        alg: 'RS256',
      },
      session: {
        absoluteTtlS: 90 * 86_400,
        idleTtlS: 14 * 86_400,
        cookieName: '__Secure-refresh_token',
        cookiePrefix: '__Secure-',
        cookieSameSite: 'strict',
      },
      mail: {
        adapter: 'smtp',
        from: 'noreply@example.com',
        smtp: { host: 'smtp.gmail.com', requireTls: true },
      },
      cors: { origins: ['http://localhost:3000', 'http://localhost:5173'], credentials: true, headers: [] },
      logLevel: 'info',
    });
    expect(config.masterKey).toHaveLength(32);
  });

  test('the balance hub keeps its 30-minute cookie while access tokens stay at 15 minutes', () => {
    const config = loadConfig(parse(DOCUMENTED['balance hub']));
    expect(config.session.balanceHubTtlS).toBe(1800);
    expect(config.jwt).toMatchObject({ accessTtlS: 900, alg: 'RS256' });
    expect(config.password.resetTtlS).toBe(900);
    expect(config.code).toMatchObject({ ttlS: 300, emailTtlS: 600 });
    expect(config.mail).toMatchObject({
      adapter: 'sendgrid',
      from: 'hub@domain.test',
      fromName: 'Auth System',
    });
  });

  test('names that change nothing are reported, and only those that are set', () => {
    const env = { ...parse(DOCUMENTED['user service']), ALGORITHM: 'HS256' };
    const ignored = ignoredVariables(env);
    expect(ignored).toEqual(expect.arrayContaining(['REDIS_POOL_SIZE', 'ALGORITHM']));
    expect(ignored).not.toContain('SENTRY_DSN');
    const without = Object.fromEntries(Object.entries(env).filter(([name]) => !ignored.includes(name)));
    expect(loadConfig(without)).toEqual(loadConfig(env));
    expect(ignoredVariables(without)).toEqual([]);
  });

  test('both documents list what a closed choice accepts', () => {
    expect(envExample()).toContain(
      '# Who decides KYC; local is refused in production (one of local, http)\n',
    );
    expect(configurationTable()).toContain('production; one of `local`, `http` |');
  });

  test('a name that is read is never called ignored', () => {
    const read = Object.entries(VARIABLES).flatMap(([name, { aliases }]) => [name, ...aliases]);
    const ignored = [...Object.keys(WITHOUT_EFFECT), ...NOT_AVAILABLE];
    expect(ignored.filter((name) => read.includes(name))).toEqual([]);
    expect(envExample()).not.toMatch(new RegExp(`\\b(${ignored.join('|')})\\b`));
  });
});

describe('aliases', () => {
  const cases: [name: string, value: string, pick: (config: Config) => unknown, expected: unknown][] = [
    ['PROJECT_NAME', 'Desk', (c) => c.appName, 'Desk'],
    ['OTP_EXPIRE_SECONDS', '120', (c) => c.code.ttlS, 120],
    ['OTP_ATTEMPTS_LIMIT', '4', (c) => c.code.attempts, 4],
    ['SMTP_USER', 'u', (c) => c.mail.smtp.username, 'u'],
    ['SMTP_USERNAME', 'u', (c) => c.mail.smtp.username, 'u'],
    ['EMAILS_FROM_EMAIL', 'a@b.test', (c) => c.mail.from, 'a@b.test'],
    ['MAIL_FROM', 'a@b.test', (c) => c.mail.from, 'a@b.test'],
    ['SMTP_FROM', 'a@b.test', (c) => c.mail.from, 'a@b.test'],
    ['MAIL_FROM_NAME', 'Desk', (c) => c.mail.fromName, 'Desk'],
    ['ALLOWED_ORIGINS', 'https://a.test', (c) => c.cors.origins, ['https://a.test']],
    ['JWT_REFRESH_TOKEN_TTL_DAYS', '30', (c) => c.session.absoluteTtlS, 30 * 86_400],
    ['REDIS_SESSION_TTL_DAYS', '30', (c) => c.session.absoluteTtlS, 30 * 86_400],
    ['REDIS_SESSION_INACTIVITY_DAYS', '7', (c) => c.session.idleTtlS, 7 * 86_400],
    ['ACCESS_TOKEN_EXPIRE_MINUTES', '5', (c) => c.jwt.accessTtlS, 300],
    ['ALGORITHM', 'ES256', (c) => c.jwt.alg, 'ES256'],
    ['KYC_WEBHOOK_SECRETS', 'one,two', (c) => c.kyc.webhookSecrets, ['one', 'two']],
    ['ENVIRONMENT', 'test', (c) => c.env, 'test'],
  ];

  test.each(cases)('%s is read', (name, value, pick, expected) => {
    expect(pick(loadConfig({ [name]: value }))).toEqual(expected);
    expect(pick(loadConfig({}))).not.toEqual(expected);
  });

  test('the variable itself wins, then its aliases in order, and a blank one is passed over', () => {
    const declared = { OWN: optional(text, 'A name', { aliases: ['OLD', 'OLDER'] }) };
    const all = { OWN: 'own', OLD: 'old', OLDER: 'older' };
    expect(read(all, declared).values.OWN).toBe('own');
    expect(read({ ...all, OWN: '' }, declared).values.OWN).toBe('old');
    expect(read({ ...all, OWN: ' ', OLD: undefined }, declared).values.OWN).toBe('older');
    expect(read({ OLD: 'old' }, declared).source('OWN')).toBe('OLD');
  });

  test.each([
    [{ DB_HOST: 'h', DB_USER: 'u', DB_PASS: 'p@ss/w', DB_NAME: 'n' }, 'postgresql://u:p%40ss%2Fw@h:5432/n'],
    [
      { POSTGRES_SERVER: 'h', POSTGRES_USER: 'u', POSTGRES_DB: 'n', POSTGRES_PORT: '6' },
      'postgresql://u@h:6/n',
    ],
    [{ DATABASE_URL: 'postgres://a@b/c', DB_HOST: 'h', POSTGRES_SERVER: 'x' }, 'postgresql://a@b/c'],
    [{ DATABASE_URL: 'postgresql+asyncpg://a@b/c' }, 'postgresql://a@b/c'],
    [{}, null],
  ])('the database of %o', (env, url) => {
    expect(loadConfig(env).database.url).toBe(url);
  });

  test.each([
    [{ REDIS_HOST: 'r' }, 'redis://r:6379/0'],
    [{ REDIS_HOST: 'r', REDIS_PORT: '1', REDIS_DB: '2', REDIS_PASSWORD: 'a:b' }, 'redis://:a%3Ab@r:1/2'],
    [{ REDIS_URL: 'rediss://r:1', REDIS_HOST: 'x', REDIS_PORT: 'tcp://10.0.0.1:6379' }, 'rediss://r:1'],
    [{ REDIS_PORT: 'tcp://10.0.0.1:6379' }, null],
  ])('the Redis of %o', (env, url) => {
    expect(loadConfig(env).redis.url).toBe(url);
  });
});

describe('defaults', () => {
  test('nothing configured is the demo: on this machine only, everything local, keys to be generated', () => {
    const config = loadConfig({});
    expect(config).toMatchObject({
      env: 'development',
      demo: true,
      host: '127.0.0.1',
      port: 8000,
      publicUrl: 'http://localhost:8000',
      database: { url: null },
      redis: { url: null },
      masterKey: null,
      passwordPepper: null,
      secretKey: null,
      sms: { adapter: 'local' },
      mail: { adapter: 'local' },
      kyc: { adapter: 'local', webhookSecrets: [] },
      flow: { tokenTtlS: 900, signupTtlDays: 30, challengeTtlS: 600 },
      code: { ttlS: 300, attempts: 5 },
      session: {
        idleTtlS: 14 * 86_400,
        absoluteTtlS: 90 * 86_400,
        cookieName: 'refresh_token',
        cookiePrefix: '',
      },
      password: { policy: 'standard', minLength: 12 },
      hash: { memoryKib: 19456, iterations: 2, parallelism: 1 },
      clockOffsetMs: 0,
    });
  });

  test('an empty value counts as unset', () => {
    const blank = Object.fromEntries(Object.keys(VARIABLES).map((name) => [name, ' ']));
    expect(loadConfig(blank)).toEqual(loadConfig({}));
  });

  test('the configuration cannot be changed afterwards, however deep', () => {
    const config = loadConfig({ MASTER_KEY: hex(), CORS_ALLOWED_ORIGINS: 'https://a.test' });
    expect(Object.isFrozen(config) && Object.isFrozen(config.mail.smtp)).toBe(true);
    expect(Object.isFrozen(config.cors.origins) && Object.isFrozen(config.limits.user)).toBe(true);
  });

  test('a real adapter ends the demo by default, and an explicit demo still sends nothing', () => {
    const smtp = { SMTP_HOST: 'mail.test' };
    expect(loadConfig(smtp)).toMatchObject({ demo: false, mail: { adapter: 'smtp' } });
    expect(loadConfig({ ...smtp, DEMO_MODE: 'true' })).toMatchObject({
      demo: true,
      mail: { adapter: 'local' },
    });
  });

  test('cookies are prefixed exactly when they are secure', () => {
    expect(loadConfig({ PUBLIC_URL: 'https://a.test/' }).session.cookieName).toBe('__Host-refresh_token');
    const plain = { SESSION_COOKIE_NAME: '__Secure-refresh_token', SESSION_COOKIE_SECURE: 'false' };
    expect(loadConfig(plain).session.cookieName).toBe('refresh_token');
  });

  test('a key given for signing decides the algorithm', () => {
    const pem = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }) as string;
    const config = loadConfig({ JWT_PRIVATE_KEY: pem.replaceAll('\n', '\\n') });
    expect(config.jwt).toMatchObject({ alg: 'EdDSA', privateKeyPem: pem });
    expect(refusal({ JWT_PRIVATE_KEY: pem, JWT_ALGORITHM: 'ES256' }).variable).toBe('JWT_ALGORITHM');
  });

  test('a secret may come from a file', () => {
    const value = hex();
    const config = loadConfig({ SECRET_KEY_FILE: keyFile('secret', `${value}\n`) });
    expect(config.secretKey).toBe(value);
    expect(refusal({ SECRET_KEY_FILE: join(folder, 'missing') }).variable).toBe('SECRET_KEY_FILE');
  });
});

describe('limits', () => {
  test('the table of limits applies unless a variable says otherwise', () => {
    expect(loadConfig({ DEMO_MODE: 'false' }).limits).toMatchObject(defaultLimits);
    expect(loadConfig({}).limits).toMatchObject(demoLimits);
  });

  test('a variable overrides its entry in the demo too, and no other', () => {
    const { limits } = loadConfig({ LIMIT_CODE_SEND: '7/2h', LIMIT_CODE_SEND_COOLDOWN_SECONDS: '9' });
    expect(limits).toMatchObject({
      ...demoLimits,
      codeSendBurst: { limit: 7, windowMs: 7_200_000 },
      codeSendCooldownMs: 9000,
    });
  });

  test('the older RATELIMIT names set count and window, and yield to LIMIT names', () => {
    const older = {
      RATELIMIT_LOGIN_ATTEMPTS: '3',
      RATELIMIT_REGISTER_ATTEMPTS: '4',
      RATELIMIT_REGISTER_WINDOW_HOURS: '2',
      RATELIMIT_REFRESH_WINDOW_MINUTES: '5',
    };
    expect(loadConfig({ ...older, LIMIT_REGISTER_NETWORK: '9/1m' }).limits).toMatchObject({
      passwordLogin: { limit: 3, windowMs: 900_000 },
      registerIdentifier: { limit: 4, windowMs: 7_200_000 },
      registerNetwork: { limit: 9, windowMs: 60_000 },
      refreshSession: { limit: 10, windowMs: 300_000 },
    });
  });
});

describe('refusals', () => {
  const cases: [variable: string, env: Env][] = [
    ['PORT', { PORT: 'eighty-S3CRET' }],
    ['PORT', { PORT: '70000' }],
    ['NODE_ENV', { NODE_ENV: 'S3CRET' }],
    ['DEMO_MODE', { DEMO_MODE: 'S3CRET' }],
    ['DATABASE_URL', { DATABASE_URL: 'mysql://S3CRET@h/n' }],
    ['DATABASE_URL', { DATABASE_URL: 'S3CRET' }],
    ['REDIS_URL', { REDIS_URL: 'http://S3CRET' }],
    ['DB_USER', { DB_HOST: 'S3CRET' }],
    ['DB_HOST', { POSTGRES_PASSWORD: 'S3CRET' }],
    ['POSTGRES_PORT', { DB_HOST: 'h', DB_USER: 'u', DB_NAME: 'n', POSTGRES_PORT: 'S3CRET' }],
    ['MASTER_KEY', { MASTER_KEY: 'S3CRET' }],
    ['MASTER_KEY', { MASTER_KEY: `${hex()}00` }],
    ['PASSWORD_PEPPER', { PASSWORD_PEPPER: hex(31) }],
    ['LOCAL_KMS_KEY_PATH', { LOCAL_KMS_KEY_PATH: '/nowhere/S3CRET' }],
    ['LOCAL_KMS_KEY_PATH', { LOCAL_KMS_KEY_PATH: keyFile('short.key', 'S3CRET') }],
    ['LOCAL_KMS_KEY_PATH', { LOCAL_KMS_KEY_PATH: keyFile('zero.key', '00'.repeat(32)) }],
    ['KMS_MASTER_KEY_ID', { KMS_MASTER_KEY_ID: '/nowhere/S3CRET' }],
    ['VAULT_URL', { KMS_PROVIDER: 'vault' }],
    ['VAULT_TOKEN', { KMS_PROVIDER: 'vault', VAULT_URL: 'https://vault.internal:8200' }],
    ['KMS_MASTER_KEY_ID', { KMS_PROVIDER: 'aws' }],
    ['LOCAL_KMS_KEYS', { LOCAL_KMS_KEYS: 'local:1=S3CRET' }],
    ['LOCAL_KMS_KEYS', { LOCAL_KMS_KEYS: `local:2=${'00'.repeat(32)}` }],
    ['LOCAL_KMS_KEYS', { LOCAL_KMS_KEYS: `local:1=${randomBytes(32).toString('hex')}` }],
    ['JWT_PRIVATE_KEY', { JWT_PRIVATE_KEY: '-----BEGIN PRIVATE KEY-----\nS3CRET' }],
    ['JWT_ALGORITHM', { JWT_ALGORITHM: 'HS256' }],
    ['JWT_ACCESS_TOKEN_TTL_MINUTES', { JWT_ACCESS_TOKEN_TTL_MINUTES: '16' }],
    ['CODE_TTL_SECONDS', { CODE_TTL_SECONDS: '601' }],
    ['OTP_EXPIRE_SECONDS', { OTP_EXPIRE_SECONDS: '601' }],
    ['CODE_ATTEMPTS', { CODE_ATTEMPTS: '6' }],
    ['LIMIT_CODE_SEND', { LIMIT_CODE_SEND: '0/5m' }],
    ['LIMIT_CODE_SEND', { LIMIT_CODE_SEND: 'unlimited-S3CRET' }],
    ['TRUST_PROXY', { TRUST_PROXY: 'true' }],
    ['TRUST_PROXY', { TRUST_PROXY: '0.0.0.0/0' }],
    ['TRUST_PROXY', { TRUST_PROXY: '10.0.0.0/33' }],
    ['CORS_ALLOWED_ORIGINS', { CORS_ALLOWED_ORIGINS: '*' }],
    ['CORS_ALLOWED_ORIGINS', { CORS_ALLOWED_ORIGINS: 'https://a.test/path' }],
    ['CORS_ALLOWED_ORIGINS', { CORS_ALLOWED_ORIGINS: 'null' }],
    ['CORS_ALLOWED_ORIGINS', { CORS_ALLOWED_ORIGINS: 'capacitor://*' }],
    ['CORS_ALLOWED_ORIGINS', { CORS_ALLOWED_ORIGINS: 'https://*.example.com' }],
    ['CORS_ALLOWED_ORIGINS', { CORS_ALLOWED_ORIGINS: 'tauri://localhost/index.html' }],
    ['CORS_ALLOWED_ORIGINS', { CORS_ALLOWED_ORIGINS: 'file://localhost' }],
    ['CORS_ALLOWED_HEADERS', { CORS_ALLOWED_HEADERS: '*' }],
    ['SESSION_COOKIE_HTTPONLY', { SESSION_COOKIE_HTTPONLY: 'false' }],
    ['SESSION_COOKIE_SAMESITE', { SESSION_COOKIE_SAMESITE: 'none' }],
    ['TWILIO_ACCOUNT_SID', { SMS_ADAPTER: 'twilio' }],
    ['SMTP_HOST', { MAIL_ADAPTER: 'smtp' }],
    ['SENDGRID_API_KEY', { MAIL_ADAPTER: 'sendgrid' }],
    ['KYC_URL', { KYC_ADAPTER: 'http' }],
    ['KYC_WEBHOOK_SECRET', { KYC_ADAPTER: 'http', KYC_URL: 'https://k.test', KYC_SECRET: 'S3CRET' }],
    ['KYC_WEBHOOK_SECRET', { KYC_WEBHOOK_SECRET: ',' }],
    ['RISK_URL', { RISK_ADAPTER: 'http' }],
    ['MAIL_FROM', { MAIL_FROM: 'S3CRET' }],
    ['DEFAULT_COUNTRY', { DEFAULT_COUNTRY: 'India' }],
  ];

  test.each(cases)('%s is named in one line that does not repeat the value: %o', (variable, env) => {
    const error = refusal(env);
    expect(error.variable).toBe(variable);
    expect(error.message).toMatch(new RegExp(`^${variable}: [^\n]+(\n[A-Z_]+: [^\n]+)*$`));
    expect(error.message).not.toContain('S3CRET');
  });

  test('all mistakes are reported at once, one line each, and only once', () => {
    const env = {
      ...production,
      PORT: 'S3CRET',
      REDIS_URL: 'http://S3CRET',
      MASTER_KEY: 'S3CRET',
      KYC_URL: undefined,
      KYC_SECRET: undefined,
      HASH_ITERATIONS: '1',
      LIMIT_USER: 'S3CRET',
      JWT_AUDIENCE: 'proof:x',
      JWT_PRIVATE_KEY: '-----BEGIN PRIVATE KEY-----\nS3CRET',
      SESSION_COOKIE_HTTPONLY: 'false',
    };
    const lines = refusal(env).message.split('\n');
    expect(lines.map((line) => /^([A-Z_]+): \S/.exec(line)?.[1]).sort()).toEqual([
      'HASH_ITERATIONS',
      'JWT_AUDIENCE',
      'JWT_PRIVATE_KEY',
      'KYC_SECRET',
      'KYC_URL',
      'LIMIT_USER',
      'MASTER_KEY',
      'PORT',
      'REDIS_URL',
      'SESSION_COOKIE_HTTPONLY',
    ]);
    expect(lines.join()).not.toContain('S3CRET');
  });

  test('a master key that other users may read is refused', () => {
    const path = keyFile('open.key', hex());
    expect(loadConfig({ LOCAL_KMS_KEY_PATH: path }).masterKey).toHaveLength(32);
    chmodSync(path, 0o644);
    expect(refusal({ LOCAL_KMS_KEY_PATH: path }).variable).toBe('LOCAL_KMS_KEY_PATH');
  });
});

describe('production', () => {
  test('starts with real secrets and real adapters, closed to the curious', () => {
    expect(loadConfig(production)).toMatchObject({
      env: 'production',
      demo: false,
      console: { enabled: false },
      docs: { enabled: false },
      session: { cookieName: '__Host-refresh_token', cookieSecure: true },
      limits: defaultLimits,
    });
  });

  const required = ['PUBLIC_URL', 'DATABASE_URL', 'REDIS_URL', 'MASTER_KEY', 'PASSWORD_PEPPER', 'SECRET_KEY'];
  test.each([...required, 'SMS_ADAPTER', 'KYC_ADAPTER', 'KYC_WEBHOOK_SECRET'])(
    'refuses to start without %s',
    (name) => {
      expect(refusal({ ...production, [name]: undefined }).variable).toBe(name);
    },
  );

  test('refuses to start while mail would go nowhere, and says what to set', () => {
    const error = refusal({ ...production, SMTP_HOST: undefined });
    expect(error.variable).toBe('MAIL_ADAPTER');
    expect(error.message).toMatch(/SMTP_HOST/);
    const sendgrid = { SMTP_HOST: undefined, SENDGRID_API_KEY: 'SG.key' };
    expect(loadConfig({ ...production, ...sendgrid }).mail.adapter).toBe('sendgrid');
  });

  const zero = '00'.repeat(32);
  const counting = Buffer.from(Array.from({ length: 32 }, (_, i) => i)).toString('hex');
  const guessable: [variable: string, value: string][] = [
    ['MASTER_KEY', zero],
    ['MASTER_KEY', counting],
    ['PASSWORD_PEPPER', 'ab'.repeat(32)],
    ['SECRET_KEY', 'your-super-secret-key'],
    ['SECRET_KEY', 'your_super_secret_jwt_key_32_characters_minimum'],
    ['SECRET_KEY', 'changeme'],
    ['SECRET_KEY', zero],
    ['ADMIN_TOKEN', 'admin'],
    ['ADMIN_TOKEN', `changeme-${hex()}`],
    ['KYC_WEBHOOK_SECRET', 'short'],
    ['KYC_WEBHOOK_SECRET', `${hex()},short`],
    ['DATABASE_URL', 'postgresql://postgres:postgres@db/vestibule'],
    ['DATABASE_URL', 'postgresql://u:your_password@db/vestibule'],
  ];
  test.each(guessable)('refuses a guessable %s without repeating it: %s', (name, value) => {
    const error = refusal({ ...production, [name]: value });
    expect(error.variable).toBe(name);
    expect(error.message).not.toContain(value);
  });

  test.each([
    ['DEMO_MODE', 'true'],
    ['PUBLIC_URL', 'http://id.bank.test'],
    ['SESSION_COOKIE_SECURE', 'false'],
    ['HASH_MEMORY_KIB', '8'],
    ['HASH_ITERATIONS', '1'],
    ['CLOCK_OFFSET_SECONDS', '60'],
    ['SMS_ADAPTER', 'local'],
    ['MAIL_ADAPTER', 'local'],
    ['KYC_ADAPTER', 'local'],
  ])('refuses %s=%s', (name, value) => {
    expect(refusal({ ...production, [name]: value }).variable).toBe(name);
  });

  test('names the variable a sample password really came from', () => {
    const parts = { DB_HOST: 'h', DB_USER: 'u', DB_NAME: 'n', POSTGRES_PASSWORD: 'postgres' };
    expect(refusal({ ...production, DATABASE_URL: undefined, ...parts }).variable).toBe('POSTGRES_PASSWORD');
  });

  test('staging, and ENVIRONMENT=production beside a laxer NODE_ENV, follow the same rules', () => {
    expect(refusal({ NODE_ENV: 'staging' }).variable).toBe('DATABASE_URL');
    expect(refusal({ NODE_ENV: 'development', ENVIRONMENT: 'production' }).variable).toBe('DATABASE_URL');
  });
});

describe('generated secrets', () => {
  test('are made once, readable by their owner only, and read back the same', () => {
    const dir = join(folder, 'fresh', 'data');
    const first = loadOrCreateSecrets(dir);
    expect(statSync(join(dir, SECRETS_FILE)).mode & 0o777).toBe(0o600);
    expect(readdirSync(dir)).toEqual([SECRETS_FILE]);
    expect(loadOrCreateSecrets(dir)).toEqual(first);
    expect(new Set([first.masterKey, first.passwordPepper].map((key) => key.toString('hex'))).size).toBe(2);
    expect(loadConfig({ ...production, MASTER_KEY: first.masterKey.toString('hex') }).env).toBe('production');
  });

  test('a file of a build without the introspection token is completed once, and keeps the rest', () => {
    const dir = mkdtempSync(join(folder, 'earlier-'));
    const path = join(dir, SECRETS_FILE);
    const made = loadOrCreateSecrets(dir);
    const { introspectionToken: _, ...earlier } = JSON.parse(readFileSync(path, 'utf8'));
    writeFileSync(path, JSON.stringify(earlier));
    const completed = loadOrCreateSecrets(dir);
    expect(completed).toEqual({ ...made, introspectionToken: completed.introspectionToken });
    expect(completed.introspectionToken).toMatch(/^[0-9a-f]{64}$/);
    expect(JSON.parse(readFileSync(path, 'utf8'))).toEqual({
      ...earlier,
      introspectionToken: completed.introspectionToken,
    });
    expect(loadOrCreateSecrets(dir)).toEqual(completed);
    expect(readdirSync(dir)).toEqual([SECRETS_FILE]);
    expect(statSync(path).mode & 0o777).toBe(0o600);
  });

  test('never replace a damaged file, whose loss would lose everything encrypted with it', () => {
    const dir = mkdtempSync(join(folder, 'damaged-'));
    writeFileSync(join(dir, SECRETS_FILE), '{"masterKey":"S3CRET"');
    expect(() => loadOrCreateSecrets(dir)).toThrow(/^DATA_DIR: (?!.*S3CRET)/);
    expect(readFileSync(join(dir, SECRETS_FILE), 'utf8')).toBe('{"masterKey":"S3CRET"');
  });

  test('a folder that cannot be used is a configuration error', () => {
    expect(() => loadOrCreateSecrets(keyFile('not-a-folder', ''))).toThrow(ConfigError);
  });
});

describe('documentation', () => {
  test('.env.example is what the declarations generate', () => {
    expect(readFileSync(new URL('../.env.example', import.meta.url), 'utf8')).toBe(envExample());
  });

  const path = new URL('../README.md', import.meta.url);
  const readme = existsSync(path) ? readFileSync(path, 'utf8') : '';
  test.skipIf(!readme.includes('configuration:begin'))(
    'the README carries the current configuration table',
    () => {
      expect(readme).toContain(configurationTable());
    },
  );

  test('every variable has one row with a description, and .env.example changes nothing as it is', () => {
    const rows = configurationTable().split('\n');
    for (const name of Object.keys(VARIABLES)) {
      expect(rows.filter((row) => row.startsWith(`| \`${name}\``))).toHaveLength(1);
    }
    expect(Object.values(VARIABLES).filter(({ description }) => description === '')).toEqual([]);
    expect(
      envExample()
        .split('\n')
        .filter((line) => line !== '' && !line.startsWith('#')),
    ).toEqual([]);
  });
});
