/** One row for a table that needs no statement of its own: what a step of a flow leaves behind. */
import type { PgTable } from 'drizzle-orm/pg-core';
import * as schema from './schema.ts';
import { insert, type WriteFragment } from './write/fragment.ts';

type Tables = {
  [T in keyof typeof schema as (typeof schema)[T] extends PgTable ? T : never]: (typeof schema)[T];
};

const tables = { ...schema };

/** @throws UniqueViolation when the commit meets a row with the same key, unless `repeated` is ignored. */
export const addRow = <T extends keyof Tables>(
  table: T,
  row: Tables[T]['$inferInsert'],
  repeated?: 'ignored',
): WriteFragment =>
  insert(tables[table], [row] as never, repeated === 'ignored' ? { onConflict: 'nothing' } : {});
