/** The configuration as one value, made from the settings that were read. It reads no environment of its own. */
import { availableParallelism } from 'node:os';
import { adaptersOf } from './adapters.ts';
import { keysOf } from './keys.ts';
import { limitsOf } from './limits.ts';
import type { Environment } from './read.ts';
import { storesOf } from './stores.ts';
import { type Settings, STEP_VARIABLES } from './variables.ts';

const DAY_S = 86_400;

/** Severity names of other ecosystems beside pino's. */
const LEVELS = { critical: 'fatal', warning: 'warn' } as const;

export function assemble(settings: Settings, environment: Environment) {
  const v = settings.values;
  const strict = [environment.NODE_ENV, environment.ENVIRONMENT].some((name) =>
    /^(production|staging)$/i.test(name?.trim() ?? ''),
  );
  const env = strict ? 'production' : v.NODE_ENV === 'test' ? 'test' : 'development';
  const adapters = adaptersOf(settings, env);
  const demo = v.DEMO_MODE ?? (env !== 'production' && !adapters.real);
  const publicUrl = v.PUBLIC_URL ?? `http://localhost:${v.PORT}`;
  const frontendUrl = v.FRONTEND_URL ?? publicUrl;
  const cookieSecure = v.SESSION_COOKIE_SECURE ?? publicUrl.startsWith('https:');
  const [, givenPrefix, cookieName] = /^(__Host-|__Secure-)?(.*)$/.exec(v.SESSION_COOKIE_NAME) ?? [];
  const cookiePrefix = cookieSecure ? (givenPrefix ?? '__Host-') : '';
  const accessTtlS =
    (v.JWT_ACCESS_TOKEN_TTL_MINUTES ?? Math.min(v.ACCESS_TOKEN_EXPIRE_MINUTES ?? 15, 15)) * 60;
  const mailCodeMinutes = v.EMAIL_VERIFICATION_CODE_EXPIRY_MINUTES;
  const logFormat = v.LOG_FORMAT ?? (env === 'production' ? ('json' as const) : ('text' as const));
  const level = v.LOG_LEVEL ?? (v.DEBUG ? 'debug' : logFormat === 'json' ? 'info' : 'warn');
  return {
    env: env as 'development' | 'test' | 'production',
    /** Fixed codes, nothing sent, short limits. Never true in production. */
    demo,
    appName: v.APP_NAME,
    /** How mails look; `color` is `#rrggbb`. */
    brand: { logoUrl: v.APP_LOGO_URL, color: v.APP_COLOR },
    /** Null: the shipped texts alone. */
    textsDir: v.TEXTS_DIR,
    /** BCP 47. */
    defaultLocale: v.DEFAULT_LOCALE,
    /** Null: the package version. */
    version: v.VERSION,
    host: v.HOST,
    port: v.PORT,
    /** No trailing slash; the only source of links and of the issuer. */
    publicUrl,
    /** No trailing slash. */
    frontendUrl,
    /** Addresses and CIDRs whose forwarding headers count. */
    trustProxy: v.TRUST_PROXY,
    /** Lower case; null: no header is read. */
    countryHeader: v.COUNTRY_HEADER?.toLowerCase() ?? null,
    dataDir: v.DATA_DIR,
    /** Added to the system clock. */
    clockOffsetMs: v.CLOCK_OFFSET_SECONDS * 1000,
    ...storesOf(settings),
    ...keysOf(settings, publicUrl, accessTtlS, environment),
    session: {
      idleTtlS: v.SESSION_IDLE_DAYS * DAY_S,
      absoluteTtlS: v.SESSION_ABSOLUTE_DAYS * DAY_S,
      maxPerUser: v.SESSION_MAX_PER_USER,
      refreshGraceS: v.REFRESH_GRACE_SECONDS,
      /** Full name of the refresh cookie, prefix included. */
      cookieName: cookiePrefix + cookieName,
      /** For every cookie of ours: `__Host-`, `__Secure-`, or empty without TLS. */
      cookiePrefix: cookiePrefix as '__Host-' | '__Secure-' | '',
      cookieSecure,
      cookieSameSite: v.SESSION_COOKIE_SAMESITE,
      /** The `/balance_hub` cookie lives as long as its contract says, on a session that can end earlier. */
      balanceHubTtlS: (v.ACCESS_TOKEN_EXPIRE_MINUTES ?? 30) * 60,
    },
    totp: {
      /** Shown in the app. */
      issuer: v.APP_NAME,
      stepS: v.MFA_TOTP_WINDOW_SECONDS,
    },
    passkeys: {
      rpId: v.PASSKEY_RP_ID ?? new URL(frontendUrl).hostname,
      /** Shown where a passkey is made or chosen. */
      rpName: v.APP_NAME,
      origins: [...new Set([new URL(frontendUrl).origin, new URL(publicUrl).origin, ...v.PASSKEY_ORIGINS])],
    },
    features: { mfaTotp: v.FEATURE_MFA_TOTP, sharedAccounts: v.FEATURE_SHARED_ACCOUNTS },
    flow: {
      tokenTtlS: v.FLOW_TOKEN_TTL_SECONDS,
      signupTtlDays: v.SIGNUP_TTL_DAYS,
      challengeTtlS: v.CHALLENGE_TTL_SECONDS,
      contactUndoTtlS: v.CONTACT_UNDO_TTL_HOURS * 3600,
    },
    code: {
      ttlS: v.CODE_TTL_SECONDS,
      emailTtlS: mailCodeMinutes === null ? v.CODE_TTL_SECONDS : Math.min(mailCodeMinutes * 60, 600),
      attempts: v.CODE_ATTEMPTS,
      secondFactorAttempts: v.SECOND_FACTOR_ATTEMPTS,
    },
    /** Windows in milliseconds; passes as `LimitNumbers`, with the durable ones beside. */
    limits: limitsOf(settings, demo),
    password: {
      policy: v.PASSWORD_POLICY,
      minLength: v.PASSWORD_MIN_LENGTH ?? (v.PASSWORD_POLICY === 'nist' ? 15 : 12),
      resetTtlS: (v.PASSWORD_RESET_TOKEN_TTL_MINUTES ?? mailCodeMinutes ?? 30) * 60,
    },
    hash: {
      memoryKib: v.HASH_MEMORY_KIB,
      iterations: v.HASH_ITERATIONS,
      parallelism: v.HASH_PARALLELISM,
      threads: v.HASH_THREADS ?? availableParallelism(),
      queue: v.HASH_QUEUE,
    },
    /** How long records of what is over are kept. */
    retention: {
      outboxDays: v.RETENTION_OUTBOX_DAYS,
      webhookReceiptDays: v.RETENTION_WEBHOOK_RECEIPT_DAYS,
      flowDays: v.RETENTION_FLOW_DAYS,
      sessionDays: v.RETENTION_SESSION_DAYS,
      idempotencyHours: v.RETENTION_IDEMPOTENCY_HOURS,
    },
    defaultCountry: v.DEFAULT_COUNTRY,
    /** Null: every country. */
    phoneCountries: v.PHONE_COUNTRIES,
    ...adapters.config(demo),
    cors: {
      origins: v.CORS_ALLOWED_ORIGINS,
      credentials: v.CORS_ALLOW_CREDENTIALS,
      headers: v.CORS_ALLOWED_HEADERS,
    },
    introspectionToken: v.INTROSPECTION_TOKEN,
    adminToken: v.ADMIN_TOKEN,
    console: {
      enabled: v.CONSOLE_ENABLED ?? env !== 'production',
      hosts: v.CONSOLE_HOSTS.map((host) => host.toLowerCase()),
      /** A page of another party; the browser loads it, never this service. */
      inspectUrl: v.INSPECT_URL,
    },
    steps: Object.fromEntries(STEP_VARIABLES.map((name) => [name, v[name]])) as Pick<
      typeof v,
      (typeof STEP_VARIABLES)[number]
    >,
    docs: { enabled: v.DOCS_ENABLED ?? env !== 'production' },
    logLevel: level === 'critical' || level === 'warning' ? LEVELS[level] : level,
    logFormat,
  };
}

export type Config = Readonly<ReturnType<typeof assemble>>;
