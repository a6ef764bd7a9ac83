/**
 * Puts writes together into one atomic statement: each a CTE, closed by a check that aborts it all when a row was stale.
 * Commits of one shape may share a statement; what each of them depends on stays its own.
 */

import { conflictOf } from '../driver/conflicts.ts';
import { keep } from './cache.ts';
import type { WriteFragment } from './fragment.ts';
import type { Runner } from './runner.ts';

/** Composed texts by their shape: the same few commits come again and again. */
const texts = new Map<string, string>();
type Known = { number: number; marks: number };
/** A number per text: a key made of whole texts would be hashed anew at each commit, kilobytes of it. */
const known = new Map<string, Known>();
let numbered = 0;

function knownOf(text: string): Known {
  let one = known.get(text);
  if (one === undefined) {
    one = { number: ++numbered, marks: text.split('?').length - 1 };
    keep(known, text, one);
  }
  return one;
}

/**
 * Equal for commits that differ in their parameters only.
 * @throws Error when a fragment has not one parameter per `?`: the ones behind it would go to the wrong places.
 */
export function shapeOf(fragments: WriteFragment[]): string {
  let shape = '';
  for (const f of fragments) {
    const { number, marks } = knownOf(f.sql);
    const all = f.returning === undefined ? marks : marks + knownOf(f.returning).marks;
    if (all !== f.params.length)
      throw new Error(`${all} marks for ${f.params.length} parameters in: ${f.sql}`);
    shape += `${number} ${f.name} ${f.expectRows} ${f.abortIf} ${f.returning} ${f.returnsColumn}\n`;
  }
  return shape;
}

/** Runs commits of one shape as one statement. What each of them reports, by the names of its fragments; throws what Postgres says. */
export async function run(
  runner: Runner,
  commits: WriteFragment[][],
  shape = shapeOf(commits[0] ?? []),
): Promise<Record<string, unknown>[]> {
  const text = textOf(commits[0] ?? [], commits.length, shape);
  const [row] = await runner.unsafe(text, paramsOf(commits) as never[], { prepare: true });
  return commits.map((fragments, of) => reportsOf(fragments, row, of));
}

function textOf(fragments: WriteFragment[], commits: number, shape: string): string {
  const key = commits === 1 ? shape : `${commits} × ${shape}`;
  let text = texts.get(key);
  if (text === undefined) {
    text = compose(fragments, commits);
    keep(texts, key, text);
  }
  return text;
}

/** In the order the text asks for them: part by part, and of each part commit by commit. */
const paramsOf = (commits: WriteFragment[][]): unknown[] =>
  (commits[0] ?? []).flatMap((_, i) => commits.flatMap((fragments) => fragments[i]!.params));

function reportsOf(
  fragments: WriteFragment[],
  row: Record<string, unknown> = {},
  of: number,
): Record<string, unknown> {
  const reports: Record<string, unknown> = {};
  for (const { name, returnsColumn } of fragments)
    if (name && returnsColumn) reports[name] = row[named(name, of)];
  return reports;
}

/** Nothing is asked about it, so the rows of several commits may come by one insert. */
const isPlain = (f: WriteFragment): boolean =>
  f.expectRows === undefined && f.abortIf === undefined && f.name === undefined && f.returning === undefined;

const named = (name: string, of: number): string => (of === 0 ? name : `${name}_${of}`);

/** No literal in a fragment may hold a question mark: each stands for a parameter. */
function compose(fragments: WriteFragment[], commits: number): string {
  let n = 0;
  const [ctes, checks, reports]: string[][] = [[], [], []];
  const add = (name: string, sql: string) =>
    ctes!.push(`${name} as (${sql.replace(/\?/g, () => `$${++n}`)})`);
  const own = (sql: string, of: number) => sql.replace(/\{(\w+)\}/g, (_, name: string) => named(name, of));
  const each = Array.from({ length: commits }, (_, of) => of);

  for (const [i, f] of fragments.entries()) {
    const { rows } = f;
    if (rows && commits > 1 && isPlain(f)) {
      const tuples = each.flatMap((of) => Array(rows.count).fill(own(rows.tuple, of)));
      add(`p${i}`, `${rows.head}${tuples.join(', ')}${rows.tail} returning 1`);
      continue;
    }
    for (const of of each) {
      const name = named(f.name ?? `p${i}`, of);
      const writes = /^(insert|update|delete)/.test(f.sql);
      add(name, own(writes ? `${f.sql} returning ${f.returning ?? '1'}` : f.sql, of));
      if (f.expectRows !== undefined) checks!.push(`(select count(*) from ${name}) = ${f.expectRows}`);
      if (f.abortIf !== undefined) checks!.push(`not exists (select 1 from ${name} where ${f.abortIf})`);
      if (f.name && f.returnsColumn)
        reports!.push(`, (select ${own(f.returnsColumn, of)} from ${name}) as ${name}`);
    }
  }
  // The function is called to fail only: a call that passes costs as much as a look-up.
  const check = checks!.length
    ? `case when ${checks!.join(' and ')} then true else vestibule_require(false) end`
    : 'true';
  return `with ${ctes!.join(', ')} select ${check}${reports!.join('')}`;
}

/**
 * Runs all fragments in one statement, which Postgres commits whole or not at all. Answers with what they return, by name.
 * @throws VersionConflict when `expectRows` was missed, a minted key was taken meanwhile, or a deadlock was broken;
 * UniqueViolation when the key is a name that people choose.
 */
export async function execute(runner: Runner, fragments: WriteFragment[]): Promise<Record<string, unknown>> {
  try {
    const [reports] = await run(runner, [fragments]);
    return reports ?? {};
  } catch (error) {
    throw conflictOf(error);
  }
}
