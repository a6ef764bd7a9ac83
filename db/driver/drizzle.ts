/**
 * drizzle-orm by its CommonJS build, in one place. As ES modules it costs 420 ms of every start on Node 24, because the
 * loader reads its 179 kB package.json again for each file; this way it costs 80 ms. Nothing else may import it by value.
 */
import { createRequire } from 'node:module';
import type * as Core from 'drizzle-orm';
import type * as Casing from 'drizzle-orm/casing';
import type * as Pg from 'drizzle-orm/pg-core';
import type * as PostgresJs from 'drizzle-orm/postgres-js';
import type * as Migrator from 'drizzle-orm/postgres-js/migrator';

const load = createRequire(import.meta.url);
const core = load('drizzle-orm') as typeof Core;
const pg = load('drizzle-orm/pg-core') as typeof Pg;
const postgresJs = load('drizzle-orm/postgres-js') as typeof PostgresJs;
const casing = load('drizzle-orm/casing') as typeof Casing;

export const { and, asc, desc, eq, getTableColumns, gt, inArray, isNull, ne, or, sql } = core;
export const {
  bigint,
  boolean,
  date,
  getTableConfig,
  index,
  integer,
  jsonb,
  pgTable,
  primaryKey,
  text,
  timestamp,
  uniqueIndex,
  uuid,
} = pg;
export const { drizzle } = postgresJs;
export const { toSnakeCase } = casing;

/** Loaded when it is needed: only a start and the migration tests ask. */
export const applyMigrations: typeof Migrator.migrate = (...parameters) =>
  (load('drizzle-orm/postgres-js/migrator') as typeof Migrator).migrate(...parameters);

export type { Column, InferInsertModel, SQL, Table } from 'drizzle-orm';
export type { PgTable } from 'drizzle-orm/pg-core';
export type { PostgresJsDatabase } from 'drizzle-orm/postgres-js';
