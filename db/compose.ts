/**
 * Puts writes together into one atomic statement: each a CTE, closed by a check that aborts it all when a row was stale.
 * Commits of one shape may share a statement; what each of them depends on stays its own.
 */
import type { Runner } from './client.ts';
import type { Part } from './statement.ts';

/** Shapes are few; a bound keeps a mistake from filling memory. */
export function keep<T>(cache: Map<string, T>, key: string, value: T): void {
  if (cache.size >= 500) cache.clear();
  cache.set(key, value);
}

/** Composed texts by their shape: the same few commits come again and again. */
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

/** Equal for commits that differ in their parameters only. */
export function shapeOf(parts: Part[]): string {
  let shape = '';
  for (const p of parts)
    shape += `${numberOf(p.sql)} ${p.name} ${p.must} ${p.never} ${p.returning} ${p.report}\n`;
  return shape;
}

/** Runs commits of one shape as one statement. What each of them reports, by the names of its parts; throws what Postgres says. */
export async function run(
  runner: Runner,
  commits: Part[][],
  shape = shapeOf(commits[0] ?? []),
): Promise<Record<string, unknown>[]> {
  const text = textOf(commits[0] ?? [], commits.length, shape);
  const [row] = await runner.unsafe(text, paramsOf(commits) as never[], { prepare: true });
  return commits.map((parts, of) => reportsOf(parts, row, of));
}

function textOf(parts: Part[], commits: number, shape: string): string {
  const key = commits === 1 ? shape : `${commits} × ${shape}`;
  let text = texts.get(key);
  if (text === undefined) {
    text = compose(parts, commits);
    keep(texts, key, text);
  }
  return text;
}

/** In the order the text asks for them: part by part, and of each part commit by commit. */
const paramsOf = (commits: Part[][]): unknown[] =>
  (commits[0] ?? []).flatMap((_, i) => commits.flatMap((parts) => parts[i]!.params));

function reportsOf(parts: Part[], row: Record<string, unknown> = {}, of: number): Record<string, unknown> {
  const reports: Record<string, unknown> = {};
  for (const { name, report } of parts) if (name && report) reports[name] = row[named(name, of)];
  return reports;
}

/** Nothing is asked about it, so the rows of several commits may come by one insert. */
const isPlain = (p: Part): boolean =>
  p.must === undefined && p.never === undefined && p.name === undefined && p.returning === undefined;

const named = (name: string, of: number): string => (of === 0 ? name : `${name}_${of}`);

/** Number of `?` marks is the number of parameters: no literal in a part may hold a question mark. */
function compose(parts: Part[], commits: number): string {
  let n = 0;
  const [ctes, checks, reports]: string[][] = [[], [], []];
  const add = (name: string, sql: string) =>
    ctes!.push(`${name} as (${sql.replace(/\?/g, () => `$${++n}`)})`);
  const own = (sql: string, of: number) => sql.replace(/\{(\w+)\}/g, (_, name: string) => named(name, of));
  const each = Array.from({ length: commits }, (_, of) => of);

  for (const [i, p] of parts.entries()) {
    const { rows } = p;
    if (rows && commits > 1 && isPlain(p)) {
      const tuples = each.flatMap((of) => Array(rows.count).fill(own(rows.tuple, of)));
      add(`p${i}`, `${rows.head}${tuples.join(', ')}${rows.tail} returning 1`);
      continue;
    }
    for (const of of each) {
      const name = named(p.name ?? `p${i}`, of);
      const writes = /^(insert|update|delete)/.test(p.sql);
      add(name, own(writes ? `${p.sql} returning ${p.returning ?? '1'}` : p.sql, of));
      if (p.must !== undefined) checks!.push(`(select count(*) from ${name}) = ${p.must}`);
      if (p.never !== undefined) checks!.push(`not exists (select 1 from ${name} where ${p.never})`);
      if (p.name && p.report) reports!.push(`, (select ${own(p.report, of)} from ${name}) as ${name}`);
    }
  }
  // The function is called to fail only: a call that passes costs as much as a look-up.
  const check = checks!.length
    ? `case when ${checks!.join(' and ')} then true else vestibule_require(false) end`
    : 'true';
  return `with ${ctes!.join(', ')} select ${check}${reports!.join('')}`;
}
