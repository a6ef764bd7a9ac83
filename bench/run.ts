/**
 * `npm run bench`: the service beside a straight line doing the minimum, in interleaved rounds on one machine.
 * Options: --rounds N (3), --seconds S per round (2), --alg RS256|ES256|EdDSA, --accounts N (20000), --only text,
 * --requests N (then also the memory after so many), --statements (the costliest), --write (docs/benchmark.md).
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { openArena, type Series } from './arena.ts';
import { operationNames } from './operations.ts';
import { report } from './report.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '3' },
    seconds: { type: 'string', default: '2' },
    alg: { type: 'string', default: 'RS256' },
    accounts: { type: 'string', default: '20000' },
    requests: { type: 'string', default: '0' },
    only: { type: 'string', default: '' },
    statements: { type: 'boolean', default: false },
    write: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const say = (line: string) => process.stderr.write(`${line}\n`);

/** Before the first round each operation runs so often, or so long: at a hundred a second code is compiled late. */
const WARM_REQUESTS = 2000;
const WARM_SECONDS = 16;

const arena = await openArena({ alg: values.alg, accounts: Number(values.accounts) });
let ending: Promise<void> | null = null;
const end = () => {
  ending ??= arena.close();
  return ending;
};
process.once('SIGINT', () => end().then(() => process.exit(130)));
try {
  const names = operationNames.filter((name) => name.includes(values.only));
  const series = new Map<string, Series>();
  const skipped = names.filter((name) => !arena.offers(name));
  const rate = new Map<string, number>();
  for (const name of names.filter((one) => !skipped.includes(one))) {
    for (const side of ['baseline', 'service'] as const) {
      let [done, took] = [0, 0];
      while (done < WARM_REQUESTS && took < WARM_SECONDS) {
        const warm = await arena.measure(side, name, 2, Math.ceil((rate.get(side + name) ?? 200) * 2));
        rate.set(side + name, warm.count / warm.seconds);
        done += warm.count;
        took += warm.seconds;
      }
    }
  }
  await arena.resetStatements();
  for (let round = 1; round <= rounds; round++) {
    for (const name of names) {
      if (skipped.includes(name)) continue;
      for (const side of ['baseline', 'service'] as const) {
        const wanted = Math.ceil((rate.get(side + name) ?? 200) * seconds);
        const measured = await arena.measure(side, name, seconds, wanted);
        rate.set(side + name, measured.count / measured.seconds);
        const known = series.get(name) ?? { baseline: [], service: [] };
        known[side].push(measured);
        series.set(name, known);
        say(
          `${round}/${rounds}  ${name.padEnd(28)} ${side.padEnd(9)} ${(measured.count / measured.seconds).toFixed(0).padStart(6)}/s  ${measured.cpuMs.toFixed(3)} ms CPU (${measured.parts.map((p) => p.toFixed(3)).join(' + ')})  p99 ${measured.p99.toFixed(1)} ms${measured.errors.length ? `  ${measured.errors.length} failed` : ''}`,
        );
      }
    }
  }
  if (values.statements) for (const line of await arena.costliest()) say(line);
  let rss: { requests: number; mb: number } | null = null;
  const requests = Number(values.requests);
  if (requests > 0) {
    let done = 0;
    while (done < requests) {
      for (const name of ['OTP send', 'GET me']) {
        done += (await arena.measure('service', name, 3, 0)).count;
      }
    }
    rss = { requests: done, mb: arena.serviceRssMb() };
  }
  const text = report({
    series,
    skipped,
    rss,
    rounds,
    seconds,
    alg: values.alg,
    accounts: Number(values.accounts),
    stores: arena.stores,
    exactStatements: arena.exactStatements,
    startMs: arena.startMs,
    rssMb: arena.serviceRssMb(),
  });
  process.stdout.write(text);
  if (values.write) writeFileSync(new URL('../docs/benchmark.md', import.meta.url), text);
} finally {
  await end();
}
