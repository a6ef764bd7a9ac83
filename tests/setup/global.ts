/** One Postgres and one migrated template database per test run; everything it makes is gone afterwards. */
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres, { type Sql } from 'postgres';
import type { TestProject } from 'vitest/node';
import { startEmbeddedPostgres } from '../../db/embedded.ts';
import { migrate } from '../../db/migrate.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** A database whose user may create others. */
    adminUrl: string;
    /** Migrated, and closed to connections so that it can be copied. */
    templateDatabase: string;
    /** What the names of this run's databases begin with. */
    databasePrefix: string;
  }
}

async function server(): Promise<{ url: string; stop(): Promise<void> }> {
  const given = process.env.TEST_DATABASE_URL ?? process.env.DATABASE_URL;
  if (given) return { url: given, stop: async () => {} };
  const dataDir = mkdtempSync(join(tmpdir(), 'vestibule-test-'));
  const remove = () => rmSync(dataDir, { recursive: true, force: true });
  try {
    const embedded = await startEmbeddedPostgres({ dataDir, log: () => {}, durable: false });
    const stop = async () => {
      await embedded.stop();
      rmSync(embedded.dataDir, { recursive: true, force: true });
      remove();
    };
    return { url: embedded.url, stop };
  } catch (error) {
    remove();
    throw error;
  }
}

async function makeTemplate(sql: Sql, adminUrl: string, name: string): Promise<void> {
  await sql`create database ${sql(name)} template template0`;
  const url = new URL(adminUrl);
  url.pathname = `/${name}`;
  await migrate(url.href);
  await sql`alter database ${sql(name)} allow_connections false`;
}

async function dropAll(sql: Sql, prefix: string): Promise<void> {
  const left = await sql`select datname from pg_database where starts_with(datname, ${prefix})`;
  for (const { datname } of left) await sql`drop database if exists ${sql(datname)} with (force)`;
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const { url, stop } = await server();
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  const prefix = `vestibule_test_${randomBytes(4).toString('hex')}_`;
  const teardown = async () => {
    try {
      await dropAll(sql, prefix);
      await sql.end();
    } finally {
      await stop();
    }
  };
  try {
    await makeTemplate(sql, url, `${prefix}template`);
  } catch (error) {
    await teardown();
    throw error;
  }
  project.provide('adminUrl', url);
  project.provide('templateDatabase', `${prefix}template`);
  project.provide('databasePrefix', prefix);
  return teardown;
}
