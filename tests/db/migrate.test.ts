/** Migrating from several processes at once, on a folder of migrations small enough to race. */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { migrate, pendingMigrations } from '../../db/migrate.ts';
import { createDatabase, createEmptyDatabase, type TestDatabase } from '../support/database.ts';

const folder = mkdtempSync(join(tmpdir(), 'vestibule-migrations-'));
let empty: TestDatabase;
let full: TestDatabase;
const open: Sql[] = [];

const connect = (url: string): Sql => {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  open.push(sql);
  return sql;
};

function writeMigrations(...statements: string[]): void {
  const entries = statements.map((statement, idx) => {
    const tag = `000${idx}_step`;
    writeFileSync(join(folder, `${tag}.sql`), statement);
    return { idx, version: '7', when: 1000 + idx, tag, breakpoints: true };
  });
  mkdirSync(join(folder, 'meta'), { recursive: true });
  writeFileSync(
    join(folder, 'meta/_journal.json'),
    JSON.stringify({ version: '7', dialect: 'postgresql', entries }),
  );
}

beforeAll(async () => {
  [empty, full] = await Promise.all([createEmptyDatabase(), createDatabase()]);
});

afterAll(async () => {
  for (const sql of open) await sql.end();
  await Promise.all([empty.drop(), full.drop()]);
  rmSync(folder, { recursive: true, force: true });
});

test('four at once on an empty database all succeed, and each migration runs once', async () => {
  writeMigrations('create table a (id int);', 'insert into a values (1);');
  const sql = connect(empty.url);
  expect(await pendingMigrations(sql, { folder })).toBe(2);
  await Promise.all([1, 2, 3, 4].map(() => migrate(empty.url, { folder })));
  expect(await sql`select id from a`).toEqual([{ id: 1 }]);
  expect(await pendingMigrations(sql, { folder })).toBe(0);

  writeMigrations('create table a (id int);', 'insert into a values (1);', 'create table b (id int);');
  expect(await pendingMigrations(sql, { folder })).toBe(1);
  await migrate(empty.url, { folder });
  expect(await pendingMigrations(sql, { folder })).toBe(0);
});

test('a failing migration leaves nothing behind and can be corrected', async () => {
  const sql = connect(empty.url);
  const before = ['create table a (id int);', 'insert into a values (1);', 'create table b (id int);'];
  writeMigrations(...before, 'create table c (id int);--> statement-breakpoint\nselect 1/0;');
  await expect(migrate(empty.url, { folder })).rejects.toMatchObject({ cause: { code: '22012' } });
  expect(await sql`select to_regclass('c') as c`).toEqual([{ c: null }]);
  writeMigrations(...before, 'create table c (id int);');
  await migrate(empty.url, { folder });
  expect(await pendingMigrations(sql, { folder })).toBe(0);
});

test('the database a test file gets has every migration of the product', async () => {
  expect(await pendingMigrations(connect(full.url))).toBe(0);
});
