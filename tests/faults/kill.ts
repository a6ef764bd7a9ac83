/**
 * `npm run test:faults [scenario …] [-- --people 200]`: the long runs, outside the test suite. Uses DATABASE_URL when
 * it is set (a migrated or empty database that may be filled), else a Postgres of its own. Non-zero when anything is lost.
 */
import { parseArgs } from 'node:util';
import { type Options, scenarios } from './scenarios.ts';
import { FLAWLESS } from './storm.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { people: { type: 'string', default: '200' } },
});
const names = positionals.length ? positionals : ['kill'];
const options: Options = {
  people: Number(values.people),
  log: (line) => console.log(`  ${line}`),
  ...(process.env.DATABASE_URL ? { databaseUrl: process.env.DATABASE_URL } : {}),
};

let failed = false;
for (const name of names) {
  const scenario = scenarios[name];
  if (!scenario) {
    console.error(`unknown scenario ${name}; there are ${Object.keys(scenarios).join(', ')}`);
    process.exit(2);
  }
  console.log(`${name}: ${options.people} people`);
  const began = Date.now();
  const verdict = await scenario(options);
  console.log(
    JSON.stringify({ scenario: name, seconds: Math.round((Date.now() - began) / 1000), ...verdict }),
  );
  if ('skipped' in verdict) continue;
  const { unfinished, lost, broken, strangers, unfinishable, statuses } = verdict;
  const judged = { unfinished, lost, broken, strangers, unfinishable };
  const errors = Object.keys(statuses).some((s) => Number(s) >= 500 && s !== '503');
  if (errors || JSON.stringify(judged) !== JSON.stringify(FLAWLESS)) failed = true;
}
console.log(failed ? 'FAILED' : 'nothing acknowledged was lost, and everybody arrived');
process.exit(failed ? 1 : 0);
