/** Composes many writes into one atomic statement: each a CTE, closed by a check that aborts it all when a row was stale. */

import type { Runner } from './client.ts';
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
  /** Later parts read what this one returned under this name. */
  name?: string;
  returning?: string;
  /** A column of its only row, or an aggregate over its rows: the statement answers with it, under the part's name. */
  report?: string;
};

type Described = {
  name: string;
  columns: Map<string, { sql: string; column: Column }>;
  /** Text of the inserts seen so far, by their shape. */
  inserts: Map<string, string>;
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

/** Shapes are few; a bound keeps a mistake from filling memory. */
function keep(cache: Map<string, string>, key: string, text: string): void {
  if (cache.size >= 500) cache.clear();
  cache.set(key, text);
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
  let sql = inserts.get(shape);
  if (sql === undefined) {
    const tuple = `(${[...keys.map(() => '?'), ...computed.map(([, value]) => value)].join(', ')})`;
    const names = [...keys.map((k) => columns.get(k)!.sql), ...computed.map(([column]) => column)];
    sql = `insert into ${name} (${names.join(', ')}) values ${rows
      .map(() => tuple)
      .join(', ')}${options.onConflict === 'nothing' ? ' on conflict do nothing' : ''}`;
    keep(inserts, shape, sql);
  }
  return {
    sql,
    params,
    ...(options.must === undefined ? {} : { must: options.must }),
  };
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

/** Composed texts by their parts: the same few commits come again and again. */
const texts = new Map<string, string>();
/** A number per text of a part: a key made of whole texts would be hashed anew at each commit, kilobytes of it. */
const numbers = new Map<string, number>();
let numbered = 0;

function numberOf(text: string): number {
  let number = numbers.get(text);
  if (number === undefined) {
    if (numbers.size >= 500) numbers.clear();
    number = ++numbered;
    numbers.set(text, number);
  }
  return number;
}

function textOf(parts: Part[]): string {
  let shape = '';
  for (const p of parts)
    shape += `${numberOf(p.sql)} ${p.name} ${p.must} ${p.never} ${p.returning} ${p.report}\n`;
  let text = texts.get(shape);
  if (text === undefined) {
    text = compose(parts);
    keep(texts, shape, text);
  }
  return text;
}

/** Number of `?` marks is the number of parameters: no literal in a part may hold a question mark. */
function compose(parts: Part[]): string {
  let n = 0;
  const checks: string[] = [];
  const ctes = parts.map((p, i) => {
    const name = p.name ?? `p${i}`;
    const writes = /^(insert|update|delete)/.test(p.sql);
    const sql = writes ? `${p.sql} returning ${p.returning ?? '1'}` : p.sql;
    if (p.must !== undefined) checks.push(`(select count(*) from ${name}) = ${p.must}`);
    if (p.never !== undefined) checks.push(`not exists (select 1 from ${name} where ${p.never})`);
    return `${name} as (${sql.replace(/\?/g, () => `$${++n}`)})`;
  });
  // The function is called to fail only: a call that passes costs as much as a look-up.
  const check = checks.length
    ? `case when ${checks.join(' and ')} then true else vestibule_require(false) end`
    : 'true';
  const reports = parts.flatMap((p) =>
    p.name && p.report ? [`, (select ${p.report} from ${p.name}) as ${p.name}`] : [],
  );
  return `with ${ctes.join(', ')} select ${check}${reports.join('')}`;
}

/**
 * Runs all parts in one statement, which Postgres commits whole or not at all. Answers with what parts report, by name.
 * Throws Stale when a `must` was missed, a unique key was taken meanwhile, or a deadlock was broken; Taken when the key
 * is a name that somebody chose.
 */
export async function execute(runner: Runner, parts: Part[]): Promise<Record<string, unknown>> {
  const params = parts.flatMap((p) => p.params);
  try {
    const [row] = await runner.unsafe(textOf(parts), params as never[], { prepare: true });
    return row ?? {};
  } catch (error) {
    throw conflictOf(error);
  }
}
