/** Brings a database to the newest schema; many replicas may start at once, so it never migrates without the lock. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Sql } from 'postgres';
import { applyMigrations, drizzle } from './driver/drizzle.ts';
import { singleConnection } from './single.ts';
import { rootOf, wordsOf } from './words.ts';

export const MIGRATIONS_FOLDER = fileURLToPath(new URL('./migrations', import.meta.url));

/** Any constant of our own: advisory locks are named by a number, per database. */
const LOCK = 7_381_004_211;

export type MigrationOptions = { folder?: string };

/** The role may not do what a migration does. `message` is a reason that can follow the name of a setting. */
export class MissingRight extends Error {
  override readonly name = 'MissingRight';
  constructor(cause: unknown) {
    const words = wordsOf(cause);
    const [, kind = '', object = ''] =
      /permission denied for (schema|database|table) (\S+)/.exec(words) ?? [];
    const usual = { schema: 'CREATE', database: 'CREATE', table: 'SELECT' }[kind];
    // The record of migrations lives in a schema that it is read from.
    const right = object === 'drizzle' ? 'USAGE' : usual;
    const wanted = right ? `the right ${right} on ${kind} ${object}` : 'the ownership of the tables';
    const query = (cause as { query?: string }).query ?? rootOf(cause).query ?? '';
    const statement = query.replace(/\s+/g, ' ').trim().slice(0, 120);
    super(`its role lacks ${wanted}: Postgres says "${words}" to the statement: ${statement}`, { cause });
  }
}

/**
 * Applies what is missing, in one transaction, and answers how many migrations that were. Waits for another replica
 * doing the same. Its one connection holds the session lock and runs the migrations, so the lock cannot outlive the work
 * nor be lost before it.
 * @throws what Postgres answers; 55P03 when another replica migrates for more than five minutes, or when a table
 * stays locked for more than ten seconds.
 */
export async function migrate(
  url: string,
  { folder = MIGRATIONS_FOLDER }: MigrationOptions = {},
): Promise<number> {
  const sql = single(url);
  try {
    // A role that may only read and write rows starts the service: it takes no lock and creates nothing.
    if ((await pendingMigrations(sql, { folder })) === 0) return 0;
    // Not at startup: poolers refuse such parameters.
    await sql`set statement_timeout = 0`;
    await sql`set lock_timeout = '300s'`;
    await sql`select pg_advisory_lock(${LOCK})`;
    // A statement waiting for a busy table makes everyone behind it wait too: give up early instead.
    await sql`set lock_timeout = '10s'`;
    const pending = await pendingMigrations(sql, { folder });
    if (pending > 0) await applyMigrations(drizzle(sql), { migrationsFolder: folder });
    return pending;
  } catch (error) {
    throw rootOf(error).code === '42501' ? new MissingRight(error) : error;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

const single = (url: string): Sql => singleConnection(url, 'vestibule migrate');

/** As `pendingMigrations`, on a connection of its own. */
export async function pendingMigrationsAt(url: string): Promise<number> {
  const sql = single(url);
  return pendingMigrations(sql).finally(() => sql.end({ timeout: 5 }));
}

/** How many migrations the database lacks; 0 means it is at the newest. Reads only; fails when Postgres does. */
export async function pendingMigrations(
  sql: Sql,
  { folder = MIGRATIONS_FOLDER }: MigrationOptions = {},
): Promise<number> {
  const journal: { entries: { when: number }[] } = JSON.parse(
    await readFile(join(folder, 'meta/_journal.json'), 'utf8'),
  );
  const answerTo = async (text: string) => (await sql.unsafe(text, [], { prepare: true }))[0];
  const table = await answerTo(`select to_regclass('drizzle.__drizzle_migrations') is not null as present`);
  if (!table?.present) return journal.entries.length;
  const newest = await answerTo('select max(created_at) as applied from drizzle.__drizzle_migrations');
  // The migrator's own rule: whatever is younger than the youngest one applied.
  return journal.entries.filter(({ when }) => when > Number(newest?.applied ?? 0)).length;
}
