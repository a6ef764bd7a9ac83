/** The real application on a database of its own: real Postgres, real crypto, a clock that tests move. */
import { randomBytes } from 'node:crypto';
import type { InjectOptions } from 'fastify';
import type { Pooler } from '../../db/pooler.ts';
import { loadConfig } from '../../src/config/index.ts';
import { type Clock, systemClock } from '../../src/kernel/clock.ts';
import type { Secrets } from '../../src/kernel/crypto/secrets-file.ts';
import { type App, buildApp } from '../../src/wiring/app.ts';
import { createDatabase, redisUrl } from './database.ts';

export type TestApp = App & {
  clock: Clock;
  secrets: Secrets;
  databaseUrl: string;
  /** One request; the body is parsed when it is JSON. */
  call(
    method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
    url: string,
    options?: {
      body?: unknown;
      token?: string | undefined;
      headers?: Record<string, string>;
      remoteAddress?: string;
    },
  ): Promise<{
    status: number;
    // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
    body: any;
    headers: Record<string, string | string[] | undefined>;
    text: string;
  }>;
};

const hex = () => randomBytes(32).toString('hex');

export const testSecrets = (): Secrets => ({
  masterKey: randomBytes(32),
  passwordPepper: randomBytes(32),
  secretKey: hex(),
  webhookSecret: hex(),
  adminToken: hex(),
  introspectionToken: hex(),
});

/** Cheap hashes and wide limits unless a test asks for the real ones through `env`. */
const TEST_ENV = {
  NODE_ENV: 'test',
  DEMO_MODE: 'true',
  JWT_ALGORITHM: 'ES256',
  HASH_MEMORY_KIB: '1024',
  HASH_ITERATIONS: '1',
  HASH_THREADS: '1',
  LOG_LEVEL: 'error',
  // Counted in real time, whatever a test does to the clock.
  LIMIT_NETWORK: '100000/1m',
};

export async function createTestApp(
  options: {
    env?: Record<string, string>;
    startRelay?: boolean;
    databaseUrl?: string;
    secrets?: Secrets;
    pooler?: Pooler;
    logStream?: { write(line: string): void };
  } = {},
): Promise<TestApp> {
  const database = options.databaseUrl ? null : await createDatabase();
  const databaseUrl = options.databaseUrl ?? database!.url;
  const redis = redisUrl();
  const config = loadConfig({ ...TEST_ENV, ...(redis ? { REDIS_URL: redis } : {}), ...options.env });
  const clock = systemClock();
  const secrets = options.secrets ?? testSecrets();
  const app = await buildApp({
    config,
    databaseUrl,
    secrets,
    clock,
    version: 'test',
    startRelay: options.startRelay ?? false,
    ...(options.pooler ? { pooler: options.pooler } : {}),
    ...(options.logStream ? { logStream: options.logStream } : {}),
  });
  await app.server.ready();
  return {
    ...app,
    clock,
    secrets,
    databaseUrl,
    async call(method, url, { body, token, headers = {}, remoteAddress } = {}) {
      const request: InjectOptions = {
        method,
        url,
        headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...headers },
        ...(body === undefined ? {} : { payload: body as object }),
        ...(remoteAddress ? { remoteAddress } : {}),
      };
      const answer = await app.server.inject(request);
      const json = String(answer.headers['content-type'] ?? '').includes('json') && answer.body !== '';
      return {
        status: answer.statusCode,
        body: json ? answer.json() : answer.body,
        headers: answer.headers as Record<string, string>,
        text: answer.body,
      };
    },
    async close() {
      await app.close();
      await database?.drop();
    },
  };
}

let next = Math.floor(Math.random() * 9000);
/** A reserved demo number nobody else in this process uses. */
export const freshPhone = (): string => {
  next = (next + 1) % 10_000;
  // Some of them stand for an outcome: 0101 to 0105, and 0660 to 0669.
  if (/^(010|066)/.test(String(next).padStart(4, '0'))) return freshPhone();
  return `+1555555${String(next).padStart(4, '0')}`;
};
