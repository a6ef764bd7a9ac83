/** Every row of every table as text, so that "nothing else changed" can be said of all of them. */
import type { Sql } from 'postgres';

/** Kept up to date in the background, by what was committed long before. */
const BACKGROUND = ['flow_stats', 'flow_stats_cursor', 'signing_keys'];

export type Dump = Record<string, string[]>;

export async function dump(sql: Sql, options: { except?: string[] } = {}): Promise<Dump> {
  const tables = await sql<{ name: string }[]>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE' order by 1`;
  const wanted = tables.filter(({ name }) => ![...BACKGROUND, ...(options.except ?? [])].includes(name));
  const rows = await Promise.all(
    wanted.map(async ({ name }) => [
      name,
      (await sql`select to_jsonb(t)::text as row from ${sql(name)} t order by 1`).map(({ row }) => row),
    ]),
  );
  return Object.fromEntries(rows);
}

/** Rows of one table that are in `after` only. */
export const added = (before: Dump, after: Dump, table: string): Record<string, unknown>[] => {
  const known = new Set(before[table]);
  return (after[table] ?? []).filter((row) => !known.has(row)).map((row) => JSON.parse(row));
};
