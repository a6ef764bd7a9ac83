/** `vestibule import`: brings users of another system over. No other process may use DATA_DIR meanwhile. */
import { createReadStream } from 'node:fs';
import { open } from 'node:fs/promises';
import { createInterface } from 'node:readline';
import { FORMATS, isImportFormat } from '../features/import/formats.ts';
import { argumentsOf, type Command, EXIT, print, UsageError } from './command.ts';

const NAMES = Object.keys(FORMATS);
const USAGE = `usage: vestibule import --format ${NAMES.join('|')} FILE.jsonl

  FILE.jsonl holds one JSON object a line. Lines that are not imported are named on standard error, by
  number and reason. Exit code 1 when a line failed and another run may import it; that run reports the
  lines imported before as "exists".`;

export const command: Command = {
  usage: USAGE,
  async run(args) {
    const { values, positionals } = argumentsOf({
      args,
      options: { format: { type: 'string' } },
      allowPositionals: true,
    });
    const [file, ...more] = positionals;
    const { format } = values;
    if (!format || !isImportFormat(format))
      throw new UsageError(`--format must be one of ${NAMES.join(', ')}`);
    if (!file || more.length > 0) throw new UsageError('exactly one FILE.jsonl is needed');
    // Before a database is started for it.
    await (await open(file)).close();
    const [{ openServices }, { importLines, tally }] = await Promise.all([
      import('../wiring/start.ts'),
      import('../features/import/import-lines.ts'),
    ]);
    const { services, close } = await openServices();
    const counts = tally();
    try {
      const input = createInterface({ input: createReadStream(file), crlfDelay: Number.POSITIVE_INFINITY });
      await importLines(services, format, input, (told) => {
        const { line, outcome, reason } = told;
        counts.add(told);
        if (outcome === 'imported') return;
        process.stderr.write(`line ${line}: ${outcome}${reason === undefined ? '' : ` (${reason})`}\n`);
      });
    } finally {
      await close();
    }
    print(counts.summary());
    return counts.has('failed') ? EXIT.failed : EXIT.ok;
  },
};
