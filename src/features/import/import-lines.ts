/** Takes an export line by line, a few at a time. One bad line costs that line only, and its content is never repeated. */
import type { Services } from '../../http/services.ts';
import { FORMATS, type ImportFormat } from './formats.ts';
import { type ImportOutcome, importUser } from './import-user.ts';

/** `unreadable`: not JSON of this format. `failed`: the line could not be stored; `reason` is a code or an error's name. */
export type LineOutcome = {
  line: number;
  outcome: ImportOutcome | 'unreadable' | 'failed';
  reason?: string;
  /** The account exists now and its password cannot be used here: its owner sets one by recovery. */
  withoutPassword?: true;
};

const PARALLEL = 8;

/** Errors of a database quote what they were given in their message, so only the code travels on. */
const reasonOf = (error: unknown): string => {
  const { code, name } = error as { code?: unknown; name?: unknown };
  return String(code ?? name ?? 'unknown').slice(0, 64);
};

async function take(s: Services, format: ImportFormat, text: string, line: number): Promise<LineOutcome> {
  let user: ReturnType<(typeof FORMATS)[ImportFormat]['parse']>;
  try {
    // Without the blanks around it, among them a byte order mark and the carriage return of a CRLF.
    user = FORMATS[format].parse(JSON.parse(text.trim()));
  } catch {
    return { line, outcome: 'unreadable' };
  }
  try {
    const outcome = await importUser(s, user);
    const taken = outcome === 'imported' || outcome === 'imported_partly';
    return { line, outcome, ...(taken && user.passwordHash === null && { withoutPassword: true }) };
  } catch (error) {
    return { line, outcome: 'failed', reason: reasonOf(error) };
  }
}

/** Tells of each line once it is settled, in the order in which that happens. Blank lines are none. */
export async function importLines(
  s: Services,
  format: ImportFormat,
  lines: AsyncIterable<string> | Iterable<string>,
  tell: (outcome: LineOutcome) => void,
): Promise<void> {
  const running = new Set<Promise<void>>();
  let line = 0;
  for await (const text of lines) {
    line += 1;
    if (!text.trim()) continue;
    const work: Promise<void> = take(s, format, text, line)
      .then(tell)
      .finally(() => running.delete(work));
    running.add(work);
    if (running.size >= PARALLEL) await Promise.race(running);
  }
  await Promise.all(running);
}

/** Counts the outcomes of a run; `summary` is one line for the operator. */
export function tally() {
  const counts = new Map<LineOutcome['outcome'], number>();
  let withoutPassword = 0;
  return {
    add(told: LineOutcome): void {
      counts.set(told.outcome, (counts.get(told.outcome) ?? 0) + 1);
      if (told.withoutPassword) withoutPassword += 1;
    },
    has: (outcome: LineOutcome['outcome']): boolean => counts.has(outcome),
    summary(): string {
      if (counts.size === 0) return 'nothing to import';
      const all = [...counts].map(([outcome, n]) => `${outcome}: ${n}`).join(', ');
      return withoutPassword === 0
        ? all
        : `${all}; imported without a usable password hash: ${withoutPassword}`;
    },
  };
}
