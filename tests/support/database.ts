/** A migrated database for one test file, copied from the run's template; files never share rows. */
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import postgres, { type Sql } from 'postgres';
import { inject } from 'vitest';

export type TestDatabase = { url: string; drop(): Promise<void> };

async function asAdmin(work: (sql: Sql) => Promise<unknown>): Promise<void> {
  const sql = postgres(inject('adminUrl'), { max: 1, onnotice: () => {} });
  try {
    await work(sql);
  } finally {
    await sql.end();
  }
}

/** 55006: something looks at the template just now (autovacuum, another copy). */
async function whenFree(work: () => Promise<unknown>, attempts = 50): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (attempts === 0 || (error as { code?: string }).code !== '55006') throw error;
    await delay(100);
    await whenFree(work, attempts - 1);
  }
}

const urlOf = (name: string): string => {
  const url = new URL(inject('adminUrl'));
  url.pathname = `/${name}`;
  return url.href;
};

async function createFrom(template: string): Promise<TestDatabase> {
  const name = inject('databasePrefix') + randomBytes(6).toString('hex');
  await asAdmin((sql) => whenFree(() => sql`create database ${sql(name)} template ${sql(template)}`));
  return {
    url: urlOf(name),
    drop: () => asAdmin((sql) => sql`drop database if exists ${sql(name)} with (force)`),
  };
}

/** A database with every migration applied and no rows. Call in `beforeAll`, and `drop` in `afterAll`. */
export const createDatabase = (): Promise<TestDatabase> => createFrom(inject('templateDatabase'));

/** A database without any table, for tests of the migrations themselves. */
export const createEmptyDatabase = (): Promise<TestDatabase> => createFrom('template0');

/**
 * The Redis server tests may use, with a logical database per test worker, so that files running at the same time do
 * not meet. Undefined without one: such tests are then skipped. Keys outlive the file; prefix them with `redisPrefix`.
 */
export function redisUrl(): string | undefined {
  const given = process.env.TEST_REDIS_URL ?? process.env.REDIS_URL;
  if (!given) return undefined;
  const url = new URL(given);
  if (url.pathname.length <= 1) url.pathname = `/${Number(process.env.VITEST_POOL_ID ?? 0) % 16}`;
  return url.href;
}

/** A key prefix nobody else has. */
export const redisPrefix = (): string => `test:${randomBytes(6).toString('hex')}:`;
