/** `npm run import -- --format supabase users.jsonl`: brings people over. Run it while no other process uses DATA_DIR. */
import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { FORMATS, isImportFormat } from '../features/import/formats.ts';
import { importLines, tally } from '../features/import/import-lines.ts';
import { openServices } from '../wiring/start.ts';

const USAGE = `usage: npm run import -- --format ${Object.keys(FORMATS).join('|')} FILE.jsonl`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { format: { type: 'string' } },
    allowPositionals: true,
  });
  const [file] = positionals;
  if (!values.format || !isImportFormat(values.format) || !file) throw new Error(USAGE);
  const { services, close } = await openServices();
  const counts = tally();
  try {
    const input = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
    await importLines(services, values.format, input, (told) => {
      const { line, outcome, reason } = told;
      counts.add(told);
      if (outcome === 'imported') return;
      process.stderr.write(`line ${line}: ${outcome}${reason === undefined ? '' : ` (${reason})`}\n`);
    });
  } finally {
    await close();
  }
  process.stdout.write(`${counts.summary()}
`);
  // To be run again: lines already taken answer `exists`.
  if (counts.has('failed')) process.exitCode = 1;
}

await main().catch((error) => {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
});
