/** Every environment variable this service reads, once. The README table and `.env.example` are made from here. */
import { LIMIT_VARIABLES } from './limits.ts';
import * as p from './parsers.ts';
import { optional, type Reading, setting } from './read.ts';

const port = p.integer(1, 65535);
const secret = { secret: true } as const;

const SERVICE = {
  NODE_ENV: setting(
    p.oneOf('development', 'test', 'staging', 'production'),
    'development',
    'Staging follows the rules of production',
    { aliases: ['ENVIRONMENT'] },
  ),
  DEMO_MODE: optional(p.flag, 'Fixed code 000000, nothing is sent, short limits; refused in production', {
    otherwise: 'true until production or a real SMS, mail or KYC adapter is configured',
  }),
  HOST: setting(p.text, '127.0.0.1', 'Address to listen on; the container image sets 0.0.0.0'),
  PORT: setting(port, '8000', 'Port to listen on'),
  PUBLIC_URL: optional(p.httpUrl, 'URL at which clients reach this service; https in production', {
    otherwise: 'http://localhost:PORT',
  }),
  FRONTEND_URL: optional(p.httpUrl, 'Where links in messages lead', { otherwise: 'PUBLIC_URL' }),
  TRUST_PROXY: setting(
    p.list(p.network),
    '',
    'Proxies whose forwarding headers are trusted: addresses, networks',
  ),
  COUNTRY_HEADER: optional(
    p.text,
    'Header in which such a proxy names the caller’s country, as `cf-ipcountry`',
    {
      otherwise: 'sessions show no country',
    },
  ),
  DATA_DIR: setting(
    p.text,
    '.data',
    'Embedded database and generated secrets; unused when all are configured',
  ),
  APP_NAME: setting(p.text, 'Vestibule', 'Name shown to people, in messages', {
    aliases: ['PROJECT_NAME'],
  }),
  APP_LOGO_URL: optional(p.imageUrl, 'Image beside that name in mails, 32 pixels high', {
    otherwise: 'the name alone',
  }),
  APP_COLOR: setting(p.color, '#1f5fbf', 'Colour of buttons in mails'),
  TEXTS_DIR: optional(
    p.text,
    'Folder of files such as `de.json` that add languages of messages or replace texts',
    { otherwise: 'the shipped ones, en and ar' },
  ),
  DEFAULT_LOCALE: setting(
    p.locale,
    'en',
    'Language of messages when neither the profile nor Accept-Language names one that has texts',
  ),
  VERSION: optional(p.text, 'Version reported by `/`', { otherwise: 'the package version' }),
  CLOCK_OFFSET_SECONDS: setting(p.integer(-1e9, 1e9), '0', 'Shifts the clock, for tests and demos'),
};

const STORES = {
  DATABASE_URL: optional(p.text, 'Postgres; wins over the parts below', {
    ...secret,
    otherwise: 'the parts below, else an embedded Postgres in DATA_DIR',
  }),
  DB_HOST: optional(
    p.text,
    'Postgres host, IP address or folder of its socket; several, comma-separated, are tried in turn',
    { aliases: ['POSTGRES_SERVER', 'POSTGRES_HOST'] },
  ),
  DB_PORT: setting(p.text, '5432', 'Postgres port', { aliases: ['POSTGRES_PORT'] }),
  DB_USER: optional(p.text, 'Postgres user', { aliases: ['POSTGRES_USER'] }),
  DB_PASS: optional(p.text, 'Postgres password', {
    ...secret,
    aliases: ['DB_PASSWORD', 'POSTGRES_PASSWORD'],
  }),
  DB_NAME: optional(p.text, 'Postgres database', { aliases: ['POSTGRES_DB'] }),
  DB_SSLMODE: optional(
    p.oneOf('disable', 'allow', 'prefer', 'require', 'verify-ca', 'verify-full'),
    'TLS to Postgres as libpq means it; `sslmode` of DATABASE_URL wins',
    { aliases: ['PGSSLMODE'], otherwise: 'disable' },
  ),
  DB_SSLROOTCERT: optional(p.text, 'File with the authorities that verify Postgres', {
    aliases: ['PGSSLROOTCERT'],
    otherwise: 'those of Node',
  }),
  DB_SSLCERT: optional(p.text, 'File with the certificate shown to Postgres', { aliases: ['PGSSLCERT'] }),
  DB_SSLKEY: optional(p.text, 'File with its private key', { aliases: ['PGSSLKEY'] }),
  DATABASE_POOLER: optional(
    p.oneOf('transaction'),
    '`transaction` where the address leads to a pooler in transaction mode; session mode needs no setting',
  ),
  DATABASE_DIRECT_URL: optional(p.text, 'Postgres without the pooler, for migrations', {
    ...secret,
    otherwise: 'DATABASE_URL',
  }),
  DATABASE_POOL_SIZE: setting(p.integer(1, 500), '10', 'Connections for transactions'),
  DATABASE_MAX_OVERFLOW: setting(p.integer(0, 500), '0', 'Added to DATABASE_POOL_SIZE'),
  REDIS_URL: optional(p.text, 'Redis or Valkey; wins over the parts below', {
    ...secret,
    otherwise: 'the parts below, else counters inside the one process',
  }),
  REDIS_HOST: optional(p.text, 'Redis host'),
  REDIS_PORT: setting(p.text, '6379', 'Redis port'),
  REDIS_DB: setting(p.text, '0', 'Redis database number'),
  REDIS_PASSWORD: optional(p.text, 'Redis password', secret),
};

const KEYS = {
  MASTER_KEY: optional(p.keyBytes(32), '32 bytes, hexadecimal or base64: everything at rest depends on it', {
    ...secret,
    otherwise: 'generated into DATA_DIR outside production',
  }),
  PASSWORD_PEPPER: optional(p.keyBytes(), '32 or more bytes, hexadecimal or base64: the argon2 secret', {
    ...secret,
    otherwise: 'generated into DATA_DIR outside production',
  }),
  SECRET_KEY: optional(p.text, 'Signs the HMAC identity proof; never used for tokens', {
    ...secret,
    otherwise: 'generated into DATA_DIR outside production',
  }),
  ADMIN_TOKEN: optional(
    p.text,
    'Bearer token of administrators: risk and KYC reviews, login to the console in production',
    secret,
  ),
  INTROSPECTION_TOKEN: optional(
    p.text,
    'Bearer token of services that call `POST /v1/auth/introspect`; outside production `introspectionToken` in DATA_DIR/secrets.json by default',
    secret,
  ),
  KMS_PROVIDER: setting(
    p.oneOf('local', 'aws', 'vault'),
    'local',
    'What wraps the keys of stored secrets: keys of this process, AWS KMS, or Vault transit',
  ),
  KMS_MASTER_KEY_ID: optional(
    p.text,
    'With aws the key id, ARN or alias; with vault the name of a derived transit key, `mount/name` or `name`; with local a path like LOCAL_KMS_KEY_PATH',
  ),
  LOCAL_KMS_KEY_PATH: optional(p.text, 'File with the master key, not readable by others; MASTER_KEY wins'),
  LOCAL_KMS_KEYS: optional(
    p.list(p.namedKey),
    'Local master keys as `local:2=<32 bytes>`, comma-separated; the first wraps, the others still open',
    { ...secret, otherwise: 'one derived from MASTER_KEY, `local:1`, which also opens what it has wrapped' },
  ),
  KMS_REGION: optional(p.text, 'AWS region of the key', { otherwise: 'what the AWS SDK finds' }),
  KMS_ENDPOINT: optional(p.httpUrl, 'AWS KMS at another address, for example a VPC endpoint'),
  VAULT_URL: optional(p.httpUrl, 'Vault or OpenBao'),
  VAULT_TOKEN: optional(p.text, 'Token that may encrypt, decrypt, rewrap and read the transit key', secret),
  JWT_PRIVATE_KEY: optional(p.pem, 'PEM key that signs tokens; its type decides the algorithm', {
    ...secret,
    otherwise: 'generated and kept encrypted in the database',
  }),
  JWT_ALGORITHM: optional(p.oneOf('RS256', 'ES256', 'EdDSA'), 'Algorithm of generated keys', {
    otherwise: 'RS256',
  }),
  ALGORITHM: optional(p.oneOf('HS256', 'RS256', 'ES256', 'EdDSA'), 'As JWT_ALGORITHM; HS256 has no effect'),
  JWT_ISSUER: optional(p.text, '`iss` of tokens', { otherwise: 'PUBLIC_URL' }),
  JWT_AUDIENCE: setting(p.text, 'vestibule', '`aud` of FULL tokens; LIMITED ones carry `<audience>:limited`'),
  JWT_CLIENT_ID: setting(p.text, 'vestibule', '`client_id` of first-party tokens'),
  JWT_ACCESS_TOKEN_TTL_MINUTES: optional(p.integer(1, 15), 'Life of access tokens', {
    otherwise: 'ACCESS_TOKEN_EXPIRE_MINUTES, at most 15',
  }),
  ACCESS_TOKEN_EXPIRE_MINUTES: optional(p.integer(1, 1440), 'Life of the `/balance_hub` cookie session', {
    otherwise: '30',
  }),
};

const SESSIONS = {
  SESSION_ABSOLUTE_DAYS: setting(p.integer(1, 365), '90', 'Days after which a persistent session ends', {
    aliases: ['JWT_REFRESH_TOKEN_TTL_DAYS', 'REDIS_SESSION_TTL_DAYS'],
  }),
  SESSION_IDLE_DAYS: setting(p.integer(1, 365), '14', 'Days without use after which a session ends', {
    aliases: ['REDIS_SESSION_INACTIVITY_DAYS'],
  }),
  SESSION_MAX_PER_USER: setting(p.integer(1, 1000), '10', 'Sessions of a user; one more ends the oldest'),
  REFRESH_GRACE_SECONDS: setting(
    p.integer(0, 10),
    '10',
    'How long a rotated token still returns its successor',
  ),
  SESSION_COOKIE_NAME: setting(p.text, 'refresh_token', 'Name of the refresh cookie, prefix included or not'),
  SESSION_COOKIE_SECURE: optional(p.flag, 'Secure cookies; false also drops the name prefix', {
    otherwise: 'true when PUBLIC_URL is https',
  }),
  SESSION_COOKIE_HTTPONLY: setting(p.flag, 'true', 'Only true is accepted'),
  SESSION_COOKIE_SAMESITE: setting(
    p.oneOf('strict', 'lax', 'none'),
    'strict',
    'SameSite of the refresh cookie',
  ),
  CORS_ALLOWED_ORIGINS: setting(
    p.list(p.origin),
    '',
    'Exact origins, comma-separated; also of apps and browser extensions',
    {
      aliases: ['ALLOWED_ORIGINS'],
    },
  ),
  CORS_ALLOWED_HEADERS: setting(
    p.list(p.headerName),
    '',
    'Request headers those origins may send beside the usual ones and those of tracing',
  ),
  CORS_ALLOW_CREDENTIALS: setting(p.flag, 'true', 'Whether those origins may send cookies'),
};

const PROOFS = {
  FLOW_TOKEN_TTL_SECONDS: setting(p.integer(60, 3600), '900', 'Life of a flow token'),
  SIGNUP_TTL_DAYS: setting(p.integer(1, 365), '30', 'Life of an unfinished sign-up'),
  CHALLENGE_TTL_SECONDS: setting(p.integer(60, 3600), '600', 'Life of a login or a contact change under way'),
  CODE_TTL_SECONDS: setting(p.integer(30, 600), '300', 'Life of a one-time code; never above 600', {
    aliases: ['OTP_EXPIRE_SECONDS'],
  }),
  CODE_ATTEMPTS: setting(p.integer(1, 5), '5', 'Tries per code', { aliases: ['OTP_ATTEMPTS_LIMIT'] }),
  MFA_TOTP_WINDOW_SECONDS: setting(
    p.integer(30, 60),
    '30',
    'Time step of authenticator apps set up from now on; those in use keep theirs',
  ),
  PASSKEY_RP_ID: optional(p.text, 'Domain that passkeys belong to; passkeys of another domain stop working', {
    otherwise: 'the host of FRONTEND_URL',
  }),
  PASSKEY_ORIGINS: setting(
    p.list(p.origin),
    '',
    'Further exact origins whose pages may use the passkeys; `/.well-known/webauthn` lists all of them',
  ),
  SECOND_FACTOR_ATTEMPTS: setting(p.integer(1, 5), '3', 'Tries per step-up at login'),
  EMAIL_VERIFICATION_CODE_EXPIRY_MINUTES: optional(
    p.integer(5, 60),
    'Life of e-mail codes (capped at 10 minutes) and of reset tokens',
    { otherwise: 'CODE_TTL_SECONDS' },
  ),
  PASSWORD_RESET_TOKEN_TTL_MINUTES: optional(p.integer(5, 60), 'Life of reset tokens', {
    otherwise: 'EMAIL_VERIFICATION_CODE_EXPIRY_MINUTES, else 30',
  }),
  CONTACT_UNDO_TTL_HOURS: setting(
    p.integer(1, 168),
    '72',
    'Life of the link that undoes a change of contacts, sent to the addresses from before',
  ),
  PASSWORD_POLICY: setting(
    p.oneOf('standard', 'nist'),
    'standard',
    'standard asks for 12 characters of four classes, nist for 15 of any',
  ),
  PASSWORD_MIN_LENGTH: optional(p.integer(8, 64), 'Shortest password', { otherwise: '12, or 15 with nist' }),
  HASH_MEMORY_KIB: setting(p.integer(8, 4194304), '19456', 'argon2id memory; at least 19456 in production'),
  HASH_ITERATIONS: setting(p.integer(1, 100), '2', 'argon2id passes; at least 2 in production'),
  HASH_PARALLELISM: setting(p.integer(1, 64), '1', 'argon2id lanes'),
  HASH_THREADS: optional(p.integer(1, 64), 'Hashes at a time', { otherwise: 'the number of cores' }),
  HASH_QUEUE: setting(p.integer(1, 10000), '64', 'Hashes that may wait; beyond it 503'),
  DEFAULT_COUNTRY: setting(p.country, 'IN', 'Country of phone numbers written without one'),
  PHONE_COUNTRIES: optional(p.list(p.country), 'Countries whose numbers get codes', { otherwise: 'all' }),
};

const ADAPTERS = {
  SMS_ADAPTER: setting(p.oneOf('local', 'twilio'), 'local', 'Who sends SMS; local is refused in production'),
  TWILIO_ACCOUNT_SID: optional(p.text, 'Twilio account'),
  TWILIO_AUTH_TOKEN: optional(p.text, 'Twilio token', secret),
  TWILIO_FROM: optional(p.text, 'Sender number or messaging service id'),
  TWILIO_BASE_URL: setting(p.httpUrl, 'https://api.twilio.com', 'Twilio API'),
  MAIL_ADAPTER: optional(p.oneOf('local', 'smtp', 'sendgrid'), 'Who sends mail', {
    otherwise: 'sendgrid or smtp when configured, else local, which production refuses',
  }),
  EMAILS_FROM_EMAIL: setting(p.emailAddress, 'no-reply@localhost', 'Sender of mail', {
    aliases: ['MAIL_FROM', 'SMTP_FROM'],
  }),
  EMAILS_FROM_NAME: optional(p.text, 'Sender name of mail', {
    aliases: ['MAIL_FROM_NAME'],
    otherwise: 'APP_NAME',
  }),
  SMTP_HOST: optional(p.text, 'SMTP server'),
  SMTP_PORT: setting(port, '587', 'SMTP port; 465 speaks TLS from the start'),
  SMTP_USERNAME: optional(p.text, 'SMTP user', { aliases: ['SMTP_USER'] }),
  SMTP_PASSWORD: optional(p.text, 'SMTP password', secret),
  SMTP_TLS: setting(p.flag, 'true', 'Refuse to send without TLS'),
  SENDGRID_API_KEY: optional(p.text, 'SendGrid key', secret),
  SENDGRID_BASE_URL: setting(p.httpUrl, 'https://api.sendgrid.com', 'SendGrid API'),
  KYC_ADAPTER: setting(p.oneOf('local', 'http'), 'local', 'Who decides KYC; local is refused in production'),
  KYC_URL: optional(p.httpUrl, 'KYC provider'),
  KYC_SECRET: optional(p.text, 'Authenticates this service to the KYC provider', secret),
  KYC_WEBHOOK_SECRET: optional(
    p.list(p.text),
    'Verifies KYC webhooks; two, comma-separated, while rotating',
    {
      ...secret,
      aliases: ['KYC_WEBHOOK_SECRETS'],
      otherwise: 'generated into DATA_DIR outside production',
    },
  ),
  RISK_ADAPTER: setting(p.oneOf('local', 'http'), 'local', 'Who scores risk beside the built-in rules'),
  RISK_URL: optional(p.httpUrl, 'Risk provider'),
  RISK_SECRET: optional(p.text, 'Authenticates this service to the risk provider', secret),
  RISK_BLOCKED_PREFIXES: setting(p.list(p.phonePrefix), '', 'Phone prefixes refused at sign-up'),
  RISK_MINIMUM_AGE: setting(p.integer(0, 120), '18', 'Youngest person accepted, in years'),
  BROKER_ADAPTER: optional(p.oneOf('local', 'kite'), 'Who checks linked trading accounts', {
    otherwise: 'kite in production, else local: a broker on paper',
  }),
  KITE_API_BASE_URL: setting(p.httpUrl, 'https://api.kite.trade', 'Kite Connect API'),
  KITE_API_TIMEOUT_SECONDS: setting(p.integer(1, 60), '10', 'Longest wait for Kite, repetitions included'),
  KITE_API_MAX_RETRIES: setting(p.integer(0, 10), '3', 'Repetitions of a safe call of Kite'),
};

const OPERATION = {
  FEATURE_SHARED_ACCOUNTS: setting(p.flag, 'true', 'Sharing of trading accounts; off answers 404'),
  FEATURE_MFA_TOTP: setting(
    p.flag,
    'true',
    'Authenticator apps; off answers 404, but accounts that have one are still asked for its code',
  ),
  CONSOLE_ENABLED: optional(p.flag, 'The developer console', { otherwise: 'true outside production' }),
  CONSOLE_HOSTS: setting(
    p.list(p.text),
    '',
    'Host names the console and `/dev` answer to, besides loopback and that of PUBLIC_URL',
  ),
  INSPECT_URL: setting(
    p.httpUrl,
    'https://stately.ai/inspect',
    'XState viewer that /dev/inspect frames, outside production',
  ),
  DOCS_ENABLED: optional(p.flag, 'Swagger UI and ReDoc', { otherwise: 'true outside production' }),
  LOG_LEVEL: optional(
    p.oneOf('fatal', 'critical', 'error', 'warn', 'warning', 'info', 'debug', 'trace', 'silent'),
    'Least severe lines logged',
    { otherwise: 'info, warn with LOG_FORMAT=text, debug with DEBUG=true' },
  ),
  LOG_FORMAT: optional(p.oneOf('json', 'text'), 'One JSON object per line, or text for people', {
    otherwise: 'json in production, else text',
  }),
  DEBUG: setting(p.lenientFlag, 'false', 'Lowers the log level to debug; nothing else'),
};

const retentionDays = p.integer(1, 3650);

const RETENTION = {
  RETENTION_OUTBOX_DAYS: setting(retentionDays, '7', 'Days a delivered message or event is kept'),
  RETENTION_WEBHOOK_RECEIPT_DAYS: setting(
    retentionDays,
    '30',
    'Days the id of an accepted webhook is kept, so that a repeated one changes nothing',
  ),
  RETENTION_FLOW_DAYS: setting(
    retentionDays,
    '90',
    'Days an ended flow is kept with its steps; one with a KYC record stays',
  ),
  RETENTION_SESSION_DAYS: setting(
    retentionDays,
    '90',
    'Days a session is kept after it was revoked or reached its absolute end',
  ),
  RETENTION_IDEMPOTENCY_HOURS: setting(
    p.integer(1, 168),
    '24',
    'Hours the answer to a request with an Idempotency-Key is kept',
  ),
};

/** In the order of the README. */
export const GROUPS = {
  Service: SERVICE,
  'Database and Redis': STORES,
  'Keys and tokens': KEYS,
  'Sessions and browsers': SESSIONS,
  'Codes, passwords and flows': PROOFS,
  Limits: LIMIT_VARIABLES,
  'Outside systems': ADAPTERS,
  Retention: RETENTION,
  Operation: OPERATION,
};

/** What one step of a flow asks for. The configuration passes it on as it was read, in `config.steps`. */
const STEPS = {};
export const STEP_VARIABLES = Object.keys(STEPS) as (keyof typeof STEPS)[];

export const VARIABLES = {
  ...SERVICE,
  ...STORES,
  ...KEYS,
  ...SESSIONS,
  ...PROOFS,
  ...LIMIT_VARIABLES,
  ...ADAPTERS,
  ...RETENTION,
  ...OPERATION,
  ...STEPS,
};

export type Settings = Reading<typeof VARIABLES>;
