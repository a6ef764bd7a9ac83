/**
 * `npm run keys -- list|rotate|withdraw <kid>`: the keys that sign access tokens. Running services notice within
 * seconds. It prints what the world may know of a key, never a private half.
 */
import { createSigningKeys } from '../../db/signing-keys.ts';
import type { Services } from '../http/services.ts';
import { Problem } from '../kernel/problems.ts';
import { openServices } from '../wiring/start.ts';

const USAGE = 'usage: npm run keys -- list | rotate | withdraw <kid>';

type Parts = Pick<Services, 'db' | 'keys' | 'clock'>;

/** One line per key, those in use first. */
async function list({ db }: Parts): Promise<string> {
  const order = ['active', 'next', 'retiring', 'retired'];
  const rows = (await createSigningKeys(db).load()).sort(
    (a, b) => order.indexOf(a.status) - order.indexOf(b.status) || +b.createdAt - +a.createdAt,
  );
  return rows
    .map((r) => `${r.kid}  ${r.alg.padEnd(5)}  ${r.status.padEnd(8)}  since ${r.changedAt.toISOString()}`)
    .join('\n');
}

/** @throws Error with a line for the operator */
export async function runKeys(parts: Parts, [command, kid]: string[]): Promise<string> {
  try {
    if (command === 'rotate') await parts.keys.rotate();
    else if (command === 'withdraw' && kid) await parts.keys.withdraw(kid);
    else if (command !== 'list') throw new Error(USAGE);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { retryAfter } = error.extras;
    if (error.code === 'not_found') throw new Error(`there is no key ${kid}`, { cause: error });
    const when = retryAfter ? ` (in ${retryAfter} s)` : '';
    throw new Error(`${error.message}${when}`, { cause: error });
  }
  return list(parts);
}

if (import.meta.main) {
  try {
    const args = process.argv.slice(2);
    if (!['list', 'rotate', 'withdraw'].includes(args[0] ?? '')) throw new Error(USAGE);
    const { services, close } = await openServices();
    try {
      process.stdout.write(`${await runKeys(services, args)}\n`);
    } finally {
      await close();
    }
  } catch (error) {
    process.stderr.write(`${(error as Error).message}\n`);
    process.exitCode = 1;
  }
}
