/** Where the two stores are: one URL each, or the parts that other deployments use. The URL always wins. */
import { AddressError, addressOf, assertHost } from '../../db/address.ts';
import { ConfigError } from './read.ts';
import type { Settings } from './variables.ts';

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

/** TLS settings beside the URL; what the URL itself says wins. */
const TLS = [
  ['sslmode', 'DB_SSLMODE'],
  ['sslrootcert', 'DB_SSLROOTCERT'],
  ['sslcert', 'DB_SSLCERT'],
  ['sslkey', 'DB_SSLKEY'],
] as const;

/** A mistake in the address is that of the variable `name`. */
function checked<T>(name: string, work: () => T): T {
  try {
    return work();
  } catch (error) {
    throw error instanceof AddressError ? new ConfigError(name, error.message) : error;
  }
}

function databaseUrl({ values: v, source, mistakes }: Settings): string | null {
  const variable = (name: keyof Settings['values']) => source(name) ?? name;
  const tls = (given = ''): string => {
    const present = new URLSearchParams(given);
    return TLS.filter(([parameter, name]) => v[name] !== null && !present.has(parameter))
      .map(([parameter, name]) => `${parameter}=${encodeURIComponent(v[name] ?? '')}`)
      .join('&');
  };
  const joined = (...queries: string[]): string => {
    const query = queries.filter((part) => part !== '').join('&');
    return query === '' ? '' : `?${query}`;
  };
  if (v.DATABASE_URL !== null) {
    const uri = v.DATABASE_URL.replace(/^postgres(?:ql)?(?:\+\w+)?:/, 'postgresql:');
    const [base = '', query = ''] = uri.split(/\?(.*)/s);
    const added = tls(query);
    const url = base + joined(query, added);
    const tlsVariable = TLS.map(([, name]) => source(name)).find((name) => name !== null);
    try {
      addressOf(url);
    } catch (error) {
      if (!(error instanceof AddressError)) throw error;
      const name = added !== '' && error.message.includes('ssl') ? tlsVariable : null;
      throw new ConfigError(name ?? variable('DATABASE_URL'), error.message);
    }
    return url;
  }
  const parts = ['DB_HOST', 'DB_USER', 'DB_PASS', 'DB_NAME'] as const;
  if (parts.every((name) => v[name] === null)) return null;
  const missing = (['DB_HOST', 'DB_USER', 'DB_NAME'] as const).filter((name) => v[name] === null);
  for (const name of missing) mistakes.add(name, 'is required beside the other database variables');
  if (missing.length > 0) return null;
  const port = whole(variable('DB_PORT'), v.DB_PORT, 1, 65535);
  const hosts = checked(variable('DB_HOST'), () =>
    (v.DB_HOST ?? '').split(',').map((host) => assertHost(host.trim().replace(/^\[(.*)\]$/, '$1'))),
  );
  const encoded = (text: string | null): string => encodeURIComponent(text ?? '');
  const login = encoded(v.DB_USER) + (v.DB_PASS === null ? '' : `:${encoded(v.DB_PASS)}`);
  const folder = hosts[0]?.startsWith('/') ? hosts[0] : null;
  const authority = hosts.map((host) => `${host.includes(':') ? `[${host}]` : host}:${port}`).join(',');
  const url =
    folder === null
      ? `postgresql://${login}@${authority}/${encoded(v.DB_NAME)}${joined(tls())}`
      : `postgresql://${login}@/${encoded(v.DB_NAME)}${joined(`host=${encoded(folder)}&port=${port}`, tls())}`;
  if (folder !== null && hosts.length > 1) {
    throw new ConfigError(variable('DB_HOST'), 'has a socket beside other hosts');
  }
  checked(TLS.map(([, name]) => source(name)).find((name) => name) ?? 'DB_HOST', () => addressOf(url));
  return url;
}

function directUrl({ values: v, source }: Settings): string | null {
  if (v.DATABASE_DIRECT_URL === null) return null;
  const url = v.DATABASE_DIRECT_URL.replace(/^postgres(?:ql)?(?:\+\w+)?:/, 'postgresql:');
  checked(source('DATABASE_DIRECT_URL') ?? 'DATABASE_DIRECT_URL', () => addressOf(url));
  return url;
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
      /** Null: found out at start, which ends when it is one of transactions. */
      pooler: v.DATABASE_POOLER,
      /** Where migrations run; null: at `url`. */
      directUrl: settings.mistakes.unless(() => directUrl(settings)),
      poolSize: v.DATABASE_POOL_SIZE + v.DATABASE_MAX_OVERFLOW,
    },
    /** Null: counters and cache inside the one process. */
    redis: { url: settings.mistakes.unless(() => redisUrl(settings)) },
  };
}
