/** The whole configuration, read once at start from the environment. The only file that may touch `process.env`. */
import { assemble, type Config } from './assemble.ts';
import { refuseUnsafe } from './production.ts';
import { ConfigError, type Environment, read } from './read.ts';
import { VARIABLES } from './variables.ts';

export type { Config, FeatureName } from './assemble.ts';
export { configurationTable } from './document.ts';
export type { DurableLimits, Limits } from './limits.ts';
export { ConfigError } from './read.ts';

/** Buffers cannot be frozen; everything else is. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}

/** @throws {ConfigError} naming the first variable that is wrong, missing or unsafe. */
export function loadConfig(env: Environment = process.env): Config {
  const settings = read(env, VARIABLES);
  const config = assemble(settings, env);
  if (!settings.values.SESSION_COOKIE_HTTPONLY) {
    throw new ConfigError('SESSION_COOKIE_HTTPONLY', 'must be true: scripts never see session cookies');
  }
  if (config.session.cookieSameSite === 'none' && !config.session.cookieSecure) {
    throw new ConfigError('SESSION_COOKIE_SAMESITE', 'must not be none without secure cookies');
  }
  if (config.env === 'production') refuseUnsafe(config, settings);
  return freeze(config);
}

/** Variables that are accepted but change nothing, for one line at start. Names only. */
export function withoutEffect(env: Environment = process.env): string[] {
  const { values, source } = read(env, VARIABLES);
  const ignored = ['REDIS_POOL_SIZE', 'PASSWORD_BCRYPT_COST', 'JWT_SIGNING_KEY_ID'] as const;
  const names = ignored.flatMap((name) => source(name) ?? []);
  return values.ALGORITHM === 'HS256' ? [...names, 'ALGORITHM'] : names;
}
