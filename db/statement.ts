/** The writes that one atomic statement is made of, as text with its parameters. `compose.ts` puts them together. */

import type { Runner } from './client.ts';
import { keep, run } from './compose.ts';
import { conflictOf } from './conflicts.ts';
import {
  type Column,
  getTableColumns,
  getTableConfig,
  type InferInsertModel,
  type PgTable,
  type Table,
  toSnakeCase,
} from './drizzle.ts';

/** One write. `?` marks a parameter. With `must`, the write has to touch exactly that many rows. */
export type Part = {
  sql: string;
  params: unknown[];
  must?: number;
  /** A column of `returning` that must not be true on any row. */
  never?: string;
  /** Later parts read what this one returned under this name, which they write as `{name}`. */
  name?: string;
  returning?: string;
  /** A column of its only row, or an aggregate over its rows: the statement answers with it, under the part's name. */
  report?: string;
  /** An insert taken apart: where nothing is asked about it, those of several commits become one. */
  rows?: { head: string; tuple: string; count: number; tail: string };
};

type Inserting = Pick<Part, 'sql' | 'rows'>;
type Described = {
  name: string;
  columns: Map<string, { sql: string; column: Column }>;
  /** Text of the inserts seen so far, by their shape. */
  inserts: Map<string, Inserting>;
};
const described = new WeakMap<Table, Described>();

function describe(table: PgTable): Described {
  let known = described.get(table);
  if (!known) {
    const columns = new Map(
      Object.entries(getTableColumns(table)).map(([key, column]) => [key, { sql: toSnakeCase(key), column }]),
    );
    known = { name: getTableConfig(table).name, columns, inserts: new Map() };
    described.set(table, known);
  }
  return known;
}

const driverValue = (column: Column, value: unknown): unknown =>
  value === null || value === undefined ? null : column.mapToDriverValue(value);

/** `insert into … values …` for rows of one shape: all take the columns of the first. */
export function insert<T extends PgTable>(
  table: T,
  rows: InferInsertModel<T>[],
  /** `computed`: further columns, by their names in SQL, with the expression every row takes for them. */
  options: { onConflict?: 'nothing'; must?: number; computed?: Record<string, string> } = {},
): Part {
  const { name, columns, inserts } = describe(table);
  const keys = Object.keys(rows[0] ?? {});
  const params: unknown[] = [];
  for (const row of rows as Record<string, unknown>[]) {
    for (const key of keys) params.push(driverValue(columns.get(key)!.column, row[key]));
  }
  const computed = Object.entries(options.computed ?? {});
  const shape = `${keys} ${rows.length} ${options.onConflict} ${computed}`;
  let inserting = inserts.get(shape);
  if (inserting === undefined) {
    const tuple = `(${[...keys.map(() => '?'), ...computed.map(([, value]) => value)].join(', ')})`;
    const names = [...keys.map((k) => columns.get(k)!.sql), ...computed.map(([column]) => column)];
    const head = `insert into ${name} (${names.join(', ')}) values `;
    const tail = options.onConflict === 'nothing' ? ' on conflict do nothing' : '';
    inserting = {
      sql: `${head}${rows.map(() => tuple).join(', ')}${tail}`,
      rows: { head, tuple, count: rows.length, tail },
    };
    keep(inserts, shape, inserting);
  }
  return { ...inserting, params, ...(options.must === undefined ? {} : { must: options.must }) };
}

/** `update … set … where …`; `where` is SQL with `?` marks of its own. */
export function update<T extends PgTable>(
  table: T,
  set: Partial<InferInsertModel<T>>,
  where: { sql: string; params: unknown[] },
  options: { must?: number; raw?: string } = {},
): Part {
  const { name, columns } = describe(table);
  const entries = Object.entries(set);
  const assignments = entries.map(([key]) => `${columns.get(key)!.sql} = ?`);
  if (options.raw) assignments.push(options.raw);
  return {
    sql: `update ${name} set ${assignments.join(', ')} where ${where.sql}`,
    params: [...entries.map(([key, value]) => driverValue(columns.get(key)!.column, value)), ...where.params],
    ...(options.must === undefined ? {} : { must: options.must }),
  };
}

export const part = (sql: string, params: unknown[], must?: number): Part =>
  must === undefined ? { sql, params } : { sql, params, must };

/**
 * Runs all parts in one statement, which Postgres commits whole or not at all. Answers with what parts report, by name.
 * Throws Stale when a `must` was missed, a unique key was taken meanwhile, or a deadlock was broken; Taken when the key
 * is a name that somebody chose.
 */
export async function execute(runner: Runner, parts: Part[]): Promise<Record<string, unknown>> {
  try {
    const [reports] = await run(runner, [parts]);
    return reports ?? {};
  } catch (error) {
    throw conflictOf(error);
  }
}
