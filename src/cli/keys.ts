/**
 * `vestibule keys`: the keys that sign access tokens. Running services notice a change within seconds. It prints the
 * public facts of a key, never a private half.
 */
import { createSigningKeys } from '../../db/signing-keys.ts';
import type { Services } from '../http/services.ts';
import { Problem } from '../kernel/problems.ts';
import { argumentsOf, type Command, print, UsageError } from './command.ts';

const USAGE = `usage: vestibule keys list | rotate | withdraw <kid>

  list            one line per key, those in use first
  rotate          make the next key the signing one, once it has been published for five minutes
  withdraw <kid>  refuse a leaked key and its tokens from now on`;

/** What each action takes. */
const ACTIONS: Record<string, { count: number; words: string }> = {
  list: { count: 0, words: 'no argument' },
  rotate: { count: 0, words: 'no argument' },
  withdraw: { count: 1, words: 'exactly one <kid>' },
};

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
export async function runKeys(parts: Parts, [action, kid = '']: string[]): Promise<string> {
  try {
    if (action === 'rotate') await parts.keys.rotate();
    else if (action === 'withdraw') await parts.keys.withdraw(kid);
  } catch (error) {
    if (!(error instanceof Problem)) throw error;
    const { retryAfter } = error.extras;
    if (error.code === 'not_found') throw new Error(`there is no key ${kid}`, { cause: error });
    const when = retryAfter ? ` (in ${retryAfter} s)` : '';
    throw new Error(`${error.message}${when}`, { cause: error });
  }
  return list(parts);
}

export const command: Command = {
  usage: USAGE,
  async run(args) {
    const { positionals } = argumentsOf({ args, allowPositionals: true });
    const [action = '', ...rest] = positionals;
    const taken = Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (!taken) throw new UsageError('one of list, rotate and withdraw is needed');
    if (rest.length !== taken.count) throw new UsageError(`${action} takes ${taken.words}`);
    const { openServices } = await import('../wiring/start.ts');
    const { services, close } = await openServices();
    try {
      print(await runKeys(services, positionals));
    } finally {
      await close();
    }
    return undefined;
  },
};
