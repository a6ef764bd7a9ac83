/** Variables that may be set but change nothing. A start names them, so that no operator relies on one; no value is read. */
import type { Environment } from './read.ts';

/** Other deployments set these; here they cannot have an effect. The README lists them with the reason. */
export const WITHOUT_EFFECT: Readonly<Record<string, string>> = {
  DATABASE_POOL_TIMEOUT: 'A request waits for the database 4.5 s at most, the connection included',
  REDIS_POOL_SIZE: 'One pipelined connection is used',
  PASSWORD_BCRYPT_COST: 'bcrypt is verified, never made',
  JWT_SIGNING_KEY_ID: 'The `kid` of a key is its RFC 7638 thumbprint',
};

/**
 * Belong to capabilities that this version does not have. The change that brings one declares its variables in
 * `variables.ts` and removes them here.
 */
export const NOT_AVAILABLE: readonly string[] = [
  'FEATURE_GOOGLE_OAUTH',
  'GOOGLE_OAUTH_CLIENT_ID',
  'GOOGLE_OAUTH_CLIENT_SECRET',
  'GOOGLE_OAUTH_CLIENT_SECRET_FILE',
  'GOOGLE_OAUTH_REDIRECT_URI',
  'GOOGLE_OAUTH_ISSUER',
  'OAUTH_REDIRECT_URIS',
  'WEBHOOK_ALLOW_PRIVATE',
  'RISK_BLOCKED_COUNTRIES',
  'TICKER_SERVICE_URL',
  'ALERT_SERVICE_URL',
  'BACKEND_SERVICE_URL',
  'METRICS_ENABLED',
  'METRICS_PORT',
  'PROMETHEUS_PORT',
  'METRICS_TOKEN',
  'METRICS_TOKEN_FILE',
  'SENTRY_DSN',
  'SENTRY_DSN_FILE',
];

/** An empty value counts as unset. */
export const isSet = (env: Environment, name: string): boolean => Boolean(env[name]?.trim());
