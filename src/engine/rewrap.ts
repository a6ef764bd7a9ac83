/**
 * Brings everything sealed under the active master key, batch by batch, while the service runs. Each batch is one
 * statement that replaces only what is still as it was read, so it may be killed and started again at any moment.
 */
import { setTimeout as delay } from 'node:timers/promises';
import { numberContext } from '../../db/kyc.ts';
import { type SealedValues, VALUE_TABLES, type ValueRow, type ValueTable } from '../../db/sealed-values.ts';
import { DecryptionError, type KeyWrapper, type KmsPort } from '../kernel/kms.ts';
import { accountOf, parseValue, valuePrefix, withWrapping } from '../kernel/vault/vault.ts';
import { sealContext } from './factors/index.ts';

export type Progress = { done: number; left: number; perSecond: number; secondsLeft: number };
export type Outcome = {
  rewrapped: number;
  /** Ids that do not open: altered, or under a key that is gone. They stay as they are. */
  unreadable: string[];
};

export type RewrapOptions = {
  sealed: SealedValues;
  keeper: KeyWrapper;
  /** Opens values from before the vault, and seals them anew. */
  kms: KmsPort;
  /** Rows of one batch. */
  batch?: number;
  /** Milliseconds between batches, for what else the service does. */
  pauseMs?: number;
  onProgress?: (progress: Progress) => void;
};

/** What each table's values are sealed for. */
const CONTEXTS: Record<ValueTable, (row: ValueRow) => string> = {
  kyc_records: numberContext,
  factors: ({ id }) => sealContext(id),
};

const FIRST = '00000000-0000-0000-0000-000000000000';

/** Whether a text names this master key: the name itself, or how values under it begin. */
export const isUnder = (named: string, active: string): boolean =>
  named === active || `${named}.` === valuePrefix(active);

export const countLeft = (counts: Record<string, Record<string, number>>, active: string): number =>
  Object.values(counts)
    .flatMap((table) => Object.entries(table))
    .reduce((sum, [named, count]) => sum + (isUnder(named, active) ? 0 : count), 0);

/** @throws KmsUnavailable; what was done until then stays done */
export async function rewrapAll(options: RewrapOptions): Promise<Outcome> {
  const { sealed, keeper, kms, batch = 200, pauseMs = 20, onProgress = () => {} } = options;
  const active = await keeper.activeKey();
  const total = countLeft(await sealed.count(), active);
  const started = performance.now();
  const outcome: Outcome = { rewrapped: 0, unreadable: [] };
  let seen = 0;

  /** Walks one table; `work` answers with how many rows it replaced. */
  async function walk<R extends { id: string }>(
    read: (after: string) => Promise<R[]>,
    work: (rows: R[]) => Promise<number>,
  ): Promise<void> {
    for (let after = FIRST; ; ) {
      const rows = await read(after);
      const last = rows.at(-1);
      if (!last) return;
      outcome.rewrapped += await work(rows);
      after = last.id;
      seen += rows.length;
      const perSecond = seen / ((performance.now() - started) / 1000);
      const left = Math.max(0, total - seen);
      onProgress({ done: seen, left, perSecond, secondsLeft: left / perSecond });
      await delay(pauseMs);
    }
  }

  await walk(
    (after) => sealed.dataKeys(active, after, batch),
    async (rows) => {
      const results = await keeper.rewrap(
        rows.map(({ id, key, blob }) => ({ account: id, wrapped: { key, blob } })),
      );
      const fresh = rows.flatMap(({ id, blob: before }, i) => {
        const result = results[i];
        if (result && !(result instanceof DecryptionError)) return [{ id, before, ...result }];
        outcome.unreadable.push(id);
        return [];
      });
      return fresh.length ? sealed.replaceDataKeys(fresh) : 0;
    },
  );

  for (const table of VALUE_TABLES) {
    await walk(
      (after) => sealed.values(table, valuePrefix(active), after, batch),
      async (rows) => {
        const fresh: { id: string; before: string; sealed: string }[] = [];
        for (const row of rows) {
          try {
            fresh.push({
              id: row.id,
              before: row.sealed,
              sealed: await moved(row.sealed, CONTEXTS[table](row)),
            });
          } catch (error) {
            if (!(error instanceof DecryptionError)) throw error;
            outcome.unreadable.push(row.id);
          }
        }
        return fresh.length ? sealed.replaceValues(table, fresh) : 0;
      },
    );
  }
  return outcome;

  async function moved(value: string, context: string): Promise<string> {
    if (value.startsWith('v1.')) return kms.encrypt(await kms.decrypt(value, context), context);
    const [result] = await keeper.rewrap([
      { account: accountOf(context), wrapped: parseValue(value).wrapped },
    ]);
    if (!result || result instanceof DecryptionError) throw result ?? new DecryptionError('not rewrapped');
    return withWrapping(value, result);
  }
}
