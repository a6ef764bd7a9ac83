/** Where the two stores are: one URL each, or the parts that other deployments use. The URL always wins. */
import type { Settings } from './index.ts';
import { ConfigError } from './read.ts';

/** Parts are looked at only when no URL is given: container platforms inject `REDIS_PORT=tcp://…` unasked. */
function whole(name: string, raw: string, min: number, max: number): number {
  const value = /^\d{1,5}$/.test(raw) ? Number(raw) : Number.NaN;
  if (!(value >= min && value <= max)) {
    throw new ConfigError(name, `must be a whole number from ${min} to ${max}`);
  }
  return value;
}

function given(name: string, raw: string, schemes: RegExp, expected: string): string {
  if (!schemes.test(raw) || !URL.canParse(raw)) throw new ConfigError(name, `must be a ${expected} URL`);
  return raw;
}

function databaseUrl({ values: v, source, mistakes }: Settings): string | null {
  if (v.DATABASE_URL !== null) {
    const url = v.DATABASE_URL.replace(/^postgres(?:ql)?(?:\+\w+)?:/, 'postgresql:');
    return given(source('DATABASE_URL') ?? 'DATABASE_URL', url, /^postgresql:\/\//, 'postgresql://');
  }
  const parts = ['DB_HOST', 'DB_USER', 'DB_PASS', 'DB_NAME'] as const;
  if (parts.every((name) => v[name] === null)) return null;
  const missing = (['DB_HOST', 'DB_USER', 'DB_NAME'] as const).filter((name) => v[name] === null);
  for (const name of missing) mistakes.add(name, 'is required beside the other database variables');
  if (missing.length > 0) return null;
  const port = whole(source('DB_PORT') ?? 'DB_PORT', v.DB_PORT, 1, 65535);
  const url = new URL(`postgresql://localhost:${port}`);
  const host = v.DB_HOST ?? '';
  url.hostname = host.includes(':') ? `[${host}]` : host;
  url.username = encodeURIComponent(v.DB_USER ?? '');
  url.password = encodeURIComponent(v.DB_PASS ?? '');
  url.pathname = `/${encodeURIComponent(v.DB_NAME ?? '')}`;
  return url.href;
}

function redisUrl({ values: v, source }: Settings): string | null {
  if (v.REDIS_URL !== null) {
    return given(source('REDIS_URL') ?? 'REDIS_URL', v.REDIS_URL, /^rediss?:\/\//, 'redis:// or rediss://');
  }
  if (v.REDIS_HOST === null) return null;
  const port = whole('REDIS_PORT', v.REDIS_PORT, 1, 65535);
  const number = whole('REDIS_DB', v.REDIS_DB, 0, 9999);
  const host = v.REDIS_HOST.includes(':') ? `[${v.REDIS_HOST}]` : v.REDIS_HOST;
  const password = v.REDIS_PASSWORD === null ? '' : `:${encodeURIComponent(v.REDIS_PASSWORD)}@`;
  return `redis://${password}${host}:${port}/${number}`;
}

export function storesOf(settings: Settings) {
  const v = settings.values;
  return {
    database: {
      /** Null: the embedded Postgres in `dataDir`. */
      url: settings.mistakes.unless(() => databaseUrl(settings)),
      poolSize: v.DATABASE_POOL_SIZE + v.DATABASE_MAX_OVERFLOW,
    },
    /** Null: counters and cache inside the one process. */
    redis: { url: settings.mistakes.unless(() => redisUrl(settings)) },
  };
}
