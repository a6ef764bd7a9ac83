/**
 * What the KMS has sealed, wherever it is stored: counted by master key, and read and replaced in batches while it is
 * rewrapped. A replacement is void when the row has changed since it was read; nothing here opens anything.
 */
import type { Database } from './client.ts';

/** A data key of a trading account. */
export type WrappedRow = { id: string; key: string; blob: string };
/** A value sealed on its own: its text names its master key. */
export type ValueRow = { id: string; accountId: string; sealed: string };

export type SealedCounts = { trading_accounts: Record<string, number>; kyc_records: Record<string, number> };

/** Values sealed before the vault begin with `v1.<master key>.`, later ones with `v2.<base64url of it>.`. */
const VALUE_KEY = `split_part(number_sealed, '.', 1) || '.' || split_part(number_sealed, '.', 2)`;

const counted = (rows: readonly { key: string; count: string }[]): Record<string, number> =>
  Object.fromEntries(rows.map(({ key, count }) => [key, Number(count)]));

export type SealedValues = ReturnType<typeof createSealedValues>;

export function createSealedValues({ writes }: Pick<Database, 'writes'>) {
  return {
    /** Rows by master key; those of KYC numbers by the beginning of their text. */
    async count(): Promise<SealedCounts> {
      const [accounts, kyc] = await Promise.all([
        writes.unsafe<{ key: string; count: string }[]>(
          'select wrapping_key as key, count(*) as count from trading_accounts where wrapping_key is not null group by 1',
        ),
        writes.unsafe<{ key: string; count: string }[]>(
          `select ${VALUE_KEY} as key, count(*) as count from kyc_records where number_sealed <> '' group by 1`,
        ),
      ]);
      return { trading_accounts: counted(accounts), kyc_records: counted(kyc) };
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

    /** KYC numbers after `after` that do not begin as values under the active master key do. */
    values: async (prefix: string, after: string, limit: number): Promise<ValueRow[]> => [
      ...(await writes.unsafe<ValueRow[]>(
        `select id, account_id as "accountId", number_sealed as sealed from kyc_records
         where id > $1::uuid and number_sealed <> '' and not starts_with(number_sealed, $2)
         order by id limit $3::int`,
        [after, prefix, limit],
        { prepare: true },
      )),
    ],

    async replaceValues(rows: readonly { id: string; before: string; sealed: string }[]) {
      const { count } = await writes.unsafe(
        `update kyc_records k set number_sealed = n.sealed
         from jsonb_to_recordset($1::jsonb) as n(id uuid, before text, sealed text)
         where k.id = n.id and k.number_sealed = n.before`,
        [JSON.stringify(rows)],
        { prepare: true },
      );
      return count;
    },
  };
}
