/**
 * `node bench/storm.ts`: how long the cheap routes take while everybody logs in with a password. The p99 of `me` and
 * refresh with 8 in flight, idle and beside 64 logins in flight; hashing runs niced, bounded and queued, so it should
 * stay under three times the idle one. Refused logins (503 beyond the queue) are part of the storm.
 */
import { parseArgs } from 'node:util';
import { openArena, startLoad } from './arena.ts';
import type { Outcome } from './load.ts';

const { values } = parseArgs({
  options: { rounds: { type: 'string', default: '3' }, seconds: { type: 'string', default: '3' } },
});
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const arena = await openArena({ alg: 'RS256', accounts: 5000 });
const storm = startLoad();
const end = async () => {
  storm.stop();
  await arena.close();
};
process.once('SIGINT', () => end().then(() => process.exit(130)));
try {
  const target = arena.target('service');
  const attack = (): Promise<Outcome> =>
    storm.run({ operation: 'password login', target, inFlight: 64, seconds: seconds + 1, prepare: 0 });
  const rows: string[] = [];
  for (const operation of ['GET me', 'refresh'].filter(arena.offers)) {
    await arena.measure('service', operation, 1, 0, 8);
    for (let round = 1; round <= rounds; round++) {
      const idle = await arena.measure('service', operation, seconds, 0, 8);
      const attacking = attack();
      const busy = await arena.measure('service', operation, seconds, 0, 8);
      const logins = await attacking;
      const shown = (o: Outcome) =>
        `${(o.count / o.seconds).toFixed(0)}/s · ${o.p50.toFixed(1)} / ${o.p99.toFixed(1)} ms`;
      rows.push(
        `| ${operation} | ${shown(idle)} | ${shown(busy)} | **${(busy.p99 / idle.p99).toFixed(1)}×** | ${(logins.count / logins.seconds).toFixed(0)}/s, ${logins.errors.length} refused |`,
      );
    }
  }
  process.stdout.write(
    [
      '| operation | idle: rate · p50 / p99 | in the storm | p99 ratio (target < 3×) | logins beside it |',
      '| --- | --- | --- | ---: | --- |',
      ...rows,
      '',
    ].join('\n'),
  );
} finally {
  await end();
}
