/**
 * What the KMS has sealed, wherever it is stored: counted by master key, and read and replaced in batches while it is
 * rewrapped. A replacement is void when the row has changed since it was read; nothing here opens anything.
 */
import type { Database } from './client.ts';

/** A data key of a trading account. */
export type WrappedRow = { id: string; key: string; blob: string };
/** A value sealed on its own: its text names its master key. */
export type ValueRow = { id: string; accountId: string; sealed: string };

/** Where values sealed on their own are stored. */
const COLUMNS = { kyc_records: 'number_sealed', factors: 'secret_sealed' } as const;
export type ValueTable = keyof typeof COLUMNS;
export const VALUE_TABLES = Object.keys(COLUMNS) as ValueTable[];

/** Rows by master key, for each table; of values by the beginning of their text. */
export type SealedCounts = Record<'trading_accounts' | ValueTable, Record<string, number>>;

/** Values sealed before the vault begin with `v1.<master key>.`, later ones with `v2.<base64url of it>.`. */
const beginning = (column: string): string =>
  `split_part(${column}, '.', 1) || '.' || split_part(${column}, '.', 2)`;

type Counted = { key: string; count: string };
const byKey = (rows: readonly Counted[]): Record<string, number> =>
  Object.fromEntries(rows.map(({ key, count }) => [key, Number(count)]));

export type SealedValues = ReturnType<typeof createSealedValues>;

export function createSealedValues({ writes }: Pick<Database, 'writes'>) {
  return {
    async count(): Promise<SealedCounts> {
      const dataKeys = writes.unsafe<Counted[]>(
        'select wrapping_key as key, count(*) as count from trading_accounts where wrapping_key is not null group by 1',
      );
      const values = VALUE_TABLES.map((table) =>
        writes.unsafe<Counted[]>(
          `select ${beginning(COLUMNS[table])} as key, count(*) as count from ${table}
           where ${COLUMNS[table]} <> '' group by 1`,
        ),
      );
      const [accounts, kyc, factors] = await Promise.all([dataKeys, ...values]);
      return {
        trading_accounts: byKey(accounts ?? []),
        kyc_records: byKey(kyc ?? []),
        factors: byKey(factors ?? []),
      };
    },

    /** Data keys after `after` that another master key wraps, in the order of their ids. */
    dataKeys: async (active: string, after: string, limit: number): Promise<WrappedRow[]> => [
      ...(await writes.unsafe<WrappedRow[]>(
        `select id, wrapping_key as key, wrapped_key as blob from trading_accounts
         where id > $1::uuid and wrapping_key <> $2 order by id limit $3::int`,
        [after, active, limit],
        { prepare: true },
      )),
    ],

    /** How many of them were still as they had been read. */
    async replaceDataKeys(rows: readonly { id: string; before: string; key: string; blob: string }[]) {
      const { count } = await writes.unsafe(
        `update trading_accounts t set wrapping_key = n.key, wrapped_key = n.blob
         from jsonb_to_recordset($1::jsonb) as n(id uuid, before text, key text, blob text)
         where t.id = n.id and t.wrapped_key = n.before`,
        [JSON.stringify(rows)],
        { prepare: true },
      );
      return count;
    },

    /** Values after `after` that do not begin as those under the active master key do. */
    values: async (table: ValueTable, prefix: string, after: string, limit: number): Promise<ValueRow[]> => [
      ...(await writes.unsafe<ValueRow[]>(
        `select id, account_id as "accountId", ${COLUMNS[table]} as sealed from ${table}
         where id > $1::uuid and ${COLUMNS[table]} <> '' and not starts_with(${COLUMNS[table]}, $2)
         order by id limit $3::int`,
        [after, prefix, limit],
        { prepare: true },
      )),
    ],

    async replaceValues(table: ValueTable, rows: readonly { id: string; before: string; sealed: string }[]) {
      const { count } = await writes.unsafe(
        `update ${table} t set ${COLUMNS[table]} = n.sealed
         from jsonb_to_recordset($1::jsonb) as n(id uuid, before text, sealed text)
         where t.id = n.id and t.${COLUMNS[table]} = n.before`,
        [JSON.stringify(rows)],
        { prepare: true },
      );
      return count;
    },
  };
}
