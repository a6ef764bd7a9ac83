/** Connections: a pipelined lane for reads, one for single-statement commits, and a small pool for transactions. */

import postgres, { type Options, type Sql, type TransactionSql } from 'postgres';
import { addressOf } from './address.ts';
import { drizzle, type PostgresJsDatabase } from './drizzle.ts';
import { createGroupCommit, type GroupCommit } from './group-commit.ts';
import { pendingMigrations } from './migrate.ts';
import { isLostConnection } from './outage.ts';
import * as schema from './schema.ts';
import { inTime, type Watch, watchSilence } from './silence.ts';

export type Schema = typeof schema;
/** Anything drizzle can read with. */
export type Reader = PostgresJsDatabase<Schema>;
/** What a raw statement runs on: a lane, where commits may travel in groups, or an open transaction. */
export type Runner = (Pick<Sql, 'unsafe'> | Pick<TransactionSql, 'unsafe'>) & Partial<GroupCommit>;

export type Database = {
  /** Prepared single reads, pipelined. Never waits for a row lock. */
  reads: Reader;
  /** Single-statement commits, pipelined or in groups. May wait for a row lock, so reads do not queue behind it. */
  writes: Sql & GroupCommit;
  /** Runs `work` in one transaction on a connection of its own; inside, use only what it is given. */
  transaction<T>(work: (tx: TransactionSql, reads: Reader) => Promise<T>): Promise<T>;
  /** One round trip; throws when the database does not answer. */
  ping(): Promise<void>;
  /** Migrations this build has and the database lacks. */
  pendingMigrations(): Promise<number>;
  /** The database's clock, milliseconds since the epoch. */
  now(): Promise<number>;
  close(): Promise<void>;
};

export type DatabaseOptions = {
  url: string;
  poolSize: number;
  /** Connections of the commit lane. */
  writeLanes?: number;
  readLanes?: number;
  /** Milliseconds before the server gives a statement up. */
  statementTimeoutMs?: number;
};

/**
 * When a connection breaks with a write pending, the driver (3.4.9) forgets to write small messages to the next one,
 * until 1024 bytes have gathered: for a dozen seconds nothing connects. A greeting of that size is written at once.
 */
const STARTUP_BYTES = 1024;

/** Beyond the server's own limit of a statement: how late its answer may be. */
const ANSWER_MARGIN_MS = 1500;

/** Counts connections of the pool that have closed. */
type Closes = { count: number };

/**
 * A transaction whose connection is lost is left to the server, which rolls it back: the driver (3.4.9) would write a
 * rollback to the socket that is gone, and that ends the process. So nothing is ever written after a close, and the
 * driver's `begin` is not told; it ends by the close itself.
 */
function inTransaction<T>(
  pool: Sql,
  watch: Watch,
  closes: Closes,
  begun: () => void,
  work: (tx: TransactionSql, reads: Reader) => Promise<T>,
): Promise<T> {
  return new Promise((resolve, reject) => {
    const attempt = async (tx: TransactionSql): Promise<T> => {
      begun();
      const { count } = closes;
      const send = tx.unsafe;
      const unsafe: typeof send = (...args) => {
        if (closes.count !== count)
          throw Object.assign(new Error('a connection closed'), { code: 'CONNECTION_CLOSED' });
        return watch.follow(send(...args));
      };
      // drizzle looks for its serializers on the client, and a transaction does not carry the pool's options.
      const client = Object.assign(tx, { options: pool.options, unsafe }) as unknown as Sql;
      try {
        const result = await work(tx, drizzle(client, { casing: 'snake_case' }) as unknown as Reader);
        watch.follow(ended);
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

/** Every statement sent through `unsafe` is followed: the driver's own `begin`, drizzle's and ours. */
function followed(sql: Sql, watch: Watch): Sql {
  const send = sql.unsafe;
  sql.unsafe = ((...args: Parameters<typeof send>) => watch.follow(send(...args))) as typeof send;
  return sql;
}

/** Lazily connects. @throws {AddressError} for a URL that cannot be honoured; nothing else until the first statement. */
export function connectDatabase(options: DatabaseOptions): Database {
  const address = addressOf(options.url);
  const statementTimeoutMs = options.statementTimeoutMs ?? 3000;
  const limitMs = statementTimeoutMs + ANSWER_MARGIN_MS;
  const watches = [true, true, false].map((lane) => watchSilence({ limitMs, lane })) as [Watch, Watch, Watch];
  const [readWatch, writeWatch, poolWatch] = watches;
  const open = (watch: Watch, more: Options<Record<string, never>>) =>
    followed(
      postgres({
        ...base,
        ...address,
        ...more,
        connection: { ...base.connection, ...more.connection, ...address.connection },
        socket: watch.socket,
      } as object),
      watch,
    );
  const base = {
    prepare: true,
    onnotice: () => {},
    connect_timeout: 3,
    // The driver's own pauses grow to 20 s: a database that is back must not be waited for any longer.
    backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 0.5),
    // The types this service stores need no catalogue look-up at connect.
    fetch_types: false,
    connection: {
      application_name: 'vestibule',
      statement_timeout: String(statementTimeoutMs).padEnd(STARTUP_BYTES) as unknown as number,
      lock_timeout: 2000,
      idle_in_transaction_session_timeout: 5000,
    },
  };
  // Reads, commits and claims are by key: planning them for their parameters gains nothing, and a plan made while a
  // table was nearly empty must not scan it later (a claim then took 70 ms instead of 2, a login's read grew with flows).
  const byKey = { ...base.connection, plan_cache_mode: 'force_generic_plan', enable_seqscan: 'off' };
  const readSql = open(readWatch, { connection: byKey, max: options.readLanes ?? 1 });
  const lanes = options.writeLanes ?? 2;
  const writeSql = open(writeWatch, { connection: byKey, max: lanes });
  const closes: Closes = { count: 0 };
  const pool = open(poolWatch, {
    connection: { ...base.connection, enable_seqscan: 'off' },
    max: options.poolSize,
    max_lifetime: null,
    onclose: () => {
      closes.count += 1;
    },
  });
  const reads = drizzle(readSql, { schema, casing: 'snake_case' });
  // drizzle sets its date and JSON serializers on the client it is given; the commit lane relies on the same ones.
  drizzle(writeSql, { schema, casing: 'snake_case' });
  drizzle(pool, { schema, casing: 'snake_case' });

  return {
    reads,
    writes: Object.assign(writeSql, createGroupCommit(writeSql, { lanes })),
    transaction: (work) => inTime(limitMs, (begun) => inTransaction(pool, poolWatch, closes, begun, work)),
    ping: async () => {
      await readWatch.follow(readSql`select 1`);
    },
    pendingMigrations: () => pendingMigrations(readSql),
    now: async () => {
      const [row] = await readSql<
        { now: string }[]
      >`select extract(epoch from clock_timestamp()) * 1000 as now`;
      return Number(row?.now);
    },
    close: async () => {
      for (const watch of watches) watch.stop();
      await Promise.all([readSql, writeSql, pool].map((sql) => sql.end({ timeout: 5 })));
    },
  };
}
