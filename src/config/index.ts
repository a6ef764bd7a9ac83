/** The whole configuration, read once at start from the environment. The only file that may touch `process.env`. */
import { assemble, type Config } from './assemble.ts';
import { isSet, NOT_AVAILABLE, WITHOUT_EFFECT } from './ignored.ts';
import { refuseUnsafe } from './production.ts';
import { type Environment, read } from './read.ts';
import { VARIABLES } from './variables.ts';

export type { Config } from './assemble.ts';
export { configurationTable } from './document.ts';
export type { DurableLimits, Limits } from './limits.ts';
export { ConfigError } from './read.ts';

/** Buffers cannot be frozen; everything else is. */
function freeze<T>(value: T): T {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value;
  for (const inner of Object.values(value)) freeze(inner);
  return Object.freeze(value);
}

/** @throws {ConfigError} naming every variable that is wrong, missing or unsafe, one line each. */
export function loadConfig(env: Environment = process.env): Config {
  const settings = read(env, VARIABLES);
  const config = assemble(settings, env);
  const { mistakes } = settings;
  if (!settings.values.SESSION_COOKIE_HTTPONLY) {
    mistakes.add('SESSION_COOKIE_HTTPONLY', 'must be true: scripts never see session cookies');
  }
  if (config.session.cookieSameSite === 'none' && !config.session.cookieSecure) {
    mistakes.add('SESSION_COOKIE_SAMESITE', 'must not be none without secure cookies');
  }
  if (config.env === 'production') refuseUnsafe(config, settings);
  mistakes.throwAll();
  return freeze(config);
}

/** Variables that are set but change nothing, for one line at start. Names only. */
export function ignoredVariables(env: Environment = process.env): string[] {
  const names = [...Object.keys(WITHOUT_EFFECT), ...NOT_AVAILABLE].filter((name) => isSet(env, name));
  return read(env, VARIABLES).values.ALGORITHM === 'HS256' ? [...names, 'ALGORITHM'] : names;
}
