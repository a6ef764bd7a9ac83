/**
 * `vestibule kms status|rewrap`: which master keys stored secrets need, and bringing all of them under the active one. It
 * prints names of keys and counts, never a key.
 */
import { createSealedValues } from '../../db/sealed-values.ts';
import { countLeft, isUnder, rewrapAll } from '../engine/rewrap.ts';
import type { Services } from '../http/services.ts';
import { argumentsOf, type Command, print, UsageError } from './command.ts';

const USAGE = `usage: vestibule kms <action> [--batch <rows>] [--pause <ms>]

actions:
  status  count what each master key has sealed
  rewrap  bring everything under the active master key; may be stopped and started again`;

type Parts = Pick<Services, 'db' | 'keeper' | 'kms'>;

/** The name of the master key that a value's beginning holds. */
function nameOf(beginning: string): string {
  const [version, key = ''] = beginning.split('.');
  return version === 'v2' ? Buffer.from(key, 'base64url').toString() : `${key} (earlier form)`;
}

export async function kmsStatus({ db, keeper }: Parts): Promise<string> {
  const active = await keeper.activeKey();
  const counts = await createSealedValues(db).count();
  const lines = Object.entries(counts).flatMap(([table, byKey]) =>
    Object.entries(byKey).map(([named, count]) => {
      const name = table === 'trading_accounts' ? named : nameOf(named);
      return `${table}  ${name}  ${count}${isUnder(named, active) ? '' : '  to rewrap'}`;
    }),
  );
  return [`active: ${active}`, ...lines, `left: ${countLeft(counts, active)}`].join('\n');
}

/** @throws Error with a line for the operator when something does not open */
export async function kmsRewrap(
  { db, keeper, kms }: Parts,
  options: { batch?: number; pauseMs?: number; report?: (line: string) => void } = {},
): Promise<string> {
  const { report = () => {}, ...pace } = options;
  const { rewrapped, unreadable } = await rewrapAll({
    sealed: createSealedValues(db),
    keeper,
    kms,
    ...pace,
    onProgress: ({ done, left, perSecond, secondsLeft }) =>
      report(`${done} done, ${left} left, ${perSecond.toFixed(0)}/s, ${Math.ceil(secondsLeft)} s to go`),
  });
  if (unreadable.length > 0) {
    const some = unreadable.slice(0, 10).join(', ');
    throw new Error(
      `${rewrapped} rewrapped; ${unreadable.length} do not open and were left as they are: ${some}`,
    );
  }
  return `${rewrapped} rewrapped`;
}

function whole(name: string, text: string | undefined, max: number): number | undefined {
  if (text === undefined) return undefined;
  const value = /^\d{1,6}$/.test(text) ? Number(text) : Number.NaN;
  if (!(value <= max)) throw new UsageError(`--${name} takes a whole number up to ${max}`);
  return value;
}

export const command: Command = {
  usage: USAGE,
  async run(args) {
    const { positionals, values } = argumentsOf({
      args,
      allowPositionals: true,
      options: { batch: { type: 'string' }, pause: { type: 'string' } },
    });
    const [action = '', ...rest] = positionals;
    if (!['status', 'rewrap'].includes(action) || rest.length > 0)
      throw new UsageError('one of status and rewrap is needed');
    const batch = whole('batch', values.batch, 10_000);
    if (batch === 0) throw new UsageError('--batch takes at least one row');
    const pauseMs = whole('pause', values.pause, 60_000);
    const { openServices } = await import('../wiring/start.ts');
    const { services, close } = await openServices();
    try {
      const pace = {
        ...(batch === undefined ? {} : { batch }),
        ...(pauseMs === undefined ? {} : { pauseMs }),
        report: (line: string) => void process.stderr.write(`${line}\n`),
      };
      print(action === 'status' ? await kmsStatus(services) : await kmsRewrap(services, pace));
    } finally {
      await close();
    }
    return undefined;
  },
};
