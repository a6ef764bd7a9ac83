/** `npm run import -- --format supabase users.jsonl`: brings people over. Run it while no other process uses DATA_DIR. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { FORMATS, isImportFormat } from '../import/formats.ts';
import { type ImportOutcome, importUser } from '../import/import-user.ts';
import { openServices } from '../start.ts';

const USAGE = `usage: npm run import -- --format ${Object.keys(FORMATS).join('|')} FILE.jsonl`;
const PARALLEL = 8;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { format: { type: 'string' } },
    allowPositionals: true,
  });
  const [file] = positionals;
  if (!values.format || !isImportFormat(values.format) || !file) throw new Error(USAGE);
  const format = FORMATS[values.format];
  const { services, close } = await openServices();
  const counts = new Map<ImportOutcome | 'unreadable', number>();
  const count = (outcome: ImportOutcome | 'unreadable', line: number): void => {
    counts.set(outcome, (counts.get(outcome) ?? 0) + 1);
    if (outcome !== 'imported') process.stderr.write(`line ${line}: ${outcome}\n`);
  };
  const one = async (text: string, line: number): Promise<void> => {
    let user: ReturnType<typeof format.parse>;
    try {
      user = format.parse(JSON.parse(text));
    } catch {
      return count('unreadable', line);
    }
    count(await importUser(services, user), line);
  };
  try {
    const running = new Set<Promise<void>>();
    let line = 0;
    for await (const text of createInterface({
      input: createReadStream(file),
      crlfDelay: Number.POSITIVE_INFINITY,
    })) {
      line += 1;
      if (!text.trim()) continue;
      const work = one(text, line).finally(() => running.delete(work));
      running.add(work);
      if (running.size >= PARALLEL) await Promise.race(running);
    }
    await Promise.all(running);
  } finally {
    await close();
  }
  process.stdout.write(
    `${[...counts].map(([outcome, n]) => `${outcome}: ${n}`).join(', ') || 'nothing to import'}\n`,
  );
}

await main().catch((error) => {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
});
