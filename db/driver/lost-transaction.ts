/**
 * Fault of postgres 3.4.9: when the connection of a transaction is lost, `begin` writes its rollback to the socket that
 * is gone, which ends the process; what the transaction sends later may run outside of it, on the next connection.
 * https://github.com/porsager/postgres/issues/1208, https://github.com/porsager/postgres/issues/1216
 */
import type { Sql, TransactionSql } from 'postgres';
import { isLostConnection } from './outage.ts';
import type { Watchdog } from './response-watchdog.ts';

/** Counts connections of a pool that have closed. */
export type Closes = { count: number };

/**
 * `pool.begin`, but a transaction whose connection is lost is left to the server, which rolls it back: nothing is
 * written after a close, and the driver's `begin` never hears of the failure; it ends by the close itself.
 * `begun` is called before `work`, and `work` is followed by the watchdog until the commit is answered.
 */
export function inTransaction<T>(
  pool: Sql,
  watchdog: Watchdog,
  closes: Closes,
  begun: () => void,
  work: (tx: TransactionSql) => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const attempt = async (tx: TransactionSql): Promise<T> => {
      begun();
      const { count } = closes;
      const send = tx.unsafe;
      const unsafe: typeof send = (...args) => {
        if (closes.count !== count)
          throw Object.assign(new Error('a connection closed'), { code: 'CONNECTION_CLOSED' });
        return watchdog.follow(send(...args));
      };
      try {
        const result = await work(Object.assign(tx, { unsafe }));
        watchdog.follow(ended);
        return result;
      } catch (error) {
        if (!isLostConnection(error) && closes.count === count) throw error;
        reject(error);
        return new Promise(() => {});
      }
    };
    const ended = pool.begin(attempt);
    ended.then(resolve as never, reject);
  });
}
