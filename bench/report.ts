/** The figures as a Markdown page. Medians over the rounds; the ratio is taken round by round first. */
import { cpus } from 'node:os';
import type { Measured, Series } from './arena.ts';

const median = (values: number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const middle = sorted.length / 2;
  return sorted.length % 2 ? sorted[Math.floor(middle)]! : (sorted[middle - 1]! + sorted[middle]!) / 2;
};
const rateOf = (m: Measured) => m.count / m.seconds;
const of = (rounds: Measured[], pick: (m: Measured) => number) => median(rounds.map(pick));

/** What design asks for, by operation. */
const TARGET: Record<string, number> = { 'password login': 0.95, refresh: 0.8, 'GET me': 0.8 };

function row(name: string, { service, baseline }: Series): string {
  const ratio = median(service.map((m, i) => rateOf(m) / rateOf(baseline[i]!)));
  const cpu = of(baseline, (m) => m.cpuMs) / of(service, (m) => m.cpuMs);
  const side = (rounds: Measured[]) =>
    `${of(rounds, rateOf).toFixed(0)} · ${of(rounds, (m) => m.cpuMs).toFixed(2)} · ${of(rounds, (m) => m.p50).toFixed(1)} / ${of(rounds, (m) => m.p99).toFixed(1)} · ${of(rounds, (m) => m.statements).toFixed(1)}`;
  return `| ${name} | ${side(baseline)} | ${side(service)} | **${ratio.toFixed(2)}** | ${cpu.toFixed(2)} | ${TARGET[name] ?? 0.6} |`;
}

export function report(r: {
  series: Map<string, Series>;
  skipped: string[];
  rss: { requests: number; mb: number } | null;
  rounds: number;
  seconds: number;
  alg: string;
  accounts: number;
  stores: string[];
  exactStatements: boolean;
  startMs: number;
  rssMb: number;
}): string {
  const machine = `${cpus().length} cores, Node ${process.versions.node}, ${r.stores.join(', ')}`;
  const lines = [
    '# Benchmark',
    '',
    'Made by `npm run bench -- --write`. The straight line is `bench/baseline.ts`: the same operations with the fewest',
    'statements and no layers, the same limits in one Redis call, one password at a time per core. The service also keeps',
    'snapshot, step, audit and outbox rows, and delivers the outbox while it is measured. 32 requests in flight, closed',
    'loop, rounds interleaved, each operation warmed up on each side first (2000 requests, 16 s at most).',
    '',
    `${machine}; ${r.alg}; ${r.accounts} accounts; ${r.rounds} rounds of ${r.seconds} s.`,
    '',
    'Each side: operations per second · CPU ms per operation (server, Postgres and Redis together) · p50 / p99 ms ·',
    `statements per operation${r.exactStatements ? '' : ' (transactions)'}, those of the relay included.`,
    '',
    '| operation | straight line | service | ratio (rate) | ratio (CPU) | target |',
    '| --- | --- | --- | ---: | ---: | ---: |',
    ...[...r.series].map(([name, series]) => row(name, series)),
    ...r.skipped.map((name) => `| ${name} | – | not offered yet | – | – | ${TARGET[name] ?? 0.6} |`),
    '',
    `Start to ready on an existing database: ${(r.startMs / 1000).toFixed(2)} s. Resident memory of the service afterwards: ${r.rssMb} MB.`,
    ...(r.rss ? ['', `After ${r.rss.requests} further requests: ${r.rss.mb} MB.`] : []),
    '',
  ];
  return `${lines.join('\n')}`;
}
