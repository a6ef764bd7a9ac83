/** The writes that one atomic statement is made of, as text with its parameters. `compose.ts` puts them together; only db/ may. */

import {
  type Column,
  getTableColumns,
  getTableConfig,
  type InferInsertModel,
  type PgTable,
  type Table,
  toSnakeCase,
} from '../driver/drizzle.ts';
import { keep } from './cache.ts';

/** One write. `?` marks a parameter. With `expectRows`, the write has to touch exactly that many rows. */
export type WriteFragment = {
  sql: string;
  params: unknown[];
  expectRows?: number;
  /** A column of `returning` that must not be true on any row. */
  abortIf?: string;
  /** Later parts read what this one returned under this name, which they write as `{name}`. */
  name?: string;
  returning?: string;
  /** A column of its only row, or an aggregate over its rows: the statement answers with it, under the part's name. */
  returnsColumn?: string;
  /** An insert taken apart: where nothing is asked about it, those of several commits become one. */
  rows?: { head: string; tuple: string; count: number; tail: string };
};

type Inserting = Pick<WriteFragment, 'sql' | 'rows'>;
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
  options: { onConflict?: 'nothing'; expectRows?: number; computed?: Record<string, string> } = {},
): WriteFragment {
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
  return {
    ...inserting,
    params,
    ...(options.expectRows === undefined ? {} : { expectRows: options.expectRows }),
  };
}

/** `update … set … where …`; `where` is SQL with `?` marks of its own. */
export function update<T extends PgTable>(
  table: T,
  set: Partial<InferInsertModel<T>>,
  where: { sql: string; params: unknown[] },
  options: { expectRows?: number; raw?: string } = {},
): WriteFragment {
  const { name, columns } = describe(table);
  const entries = Object.entries(set);
  const assignments = entries.map(([key]) => `${columns.get(key)!.sql} = ?`);
  if (options.raw) assignments.push(options.raw);
  return {
    sql: `update ${name} set ${assignments.join(', ')} where ${where.sql}`,
    params: [...entries.map(([key, value]) => driverValue(columns.get(key)!.column, value)), ...where.params],
    ...(options.expectRows === undefined ? {} : { expectRows: options.expectRows }),
  };
}

export const fragment = (sql: string, params: unknown[], expectRows?: number): WriteFragment =>
  expectRows === undefined ? { sql, params } : { sql, params, expectRows };
