/** Connections: a lane for short reads, one for single-statement commits, a pool for transactions, one for reports. */

import postgres, { type Options, type Sql, type TransactionSql } from 'postgres';
import { addressOf } from './address.ts';
import { drizzle, type PostgresJsDatabase } from './driver/drizzle.ts';
import { type Closes, inTransaction } from './driver/lost-transaction.ts';
import { responseWatchdog, type Watchdog, withTimeout } from './driver/response-watchdog.ts';
import { longGreeting, longPooledGreeting } from './driver/stuck-greeting.ts';
import { closingClean } from './driver/unsettled-close.ts';
import { pendingMigrations } from './migrate.ts';
import type { Pooler } from './pooler.ts';
import * as schema from './schema.ts';
import { createGroupCommit } from './write/group-commit.ts';
import type { GroupCommit } from './write/runner.ts';

export type Schema = typeof schema;
/** Anything drizzle can read with. */
export type Reader = PostgresJsDatabase<Schema>;

export type Database = {
  /** Prepared single reads, pipelined. Never waits for a row lock. */
  reads: Reader;
  /** Single-statement commits, pipelined or in groups. May wait for a row lock, so reads do not queue behind it. */
  writes: Sql & GroupCommit;
  /** Runs `work` in one transaction on a connection of its own; inside, use only what it is given. */
  transaction<T>(work: (tx: TransactionSql, reads: Reader) => Promise<T>): Promise<T>;
  /** As `transaction`, for reports, lists and exports: few connections, and the planner is free. No request waits here. */
  report<T>(work: (tx: TransactionSql, reads: Reader) => Promise<T>): Promise<T>;
  /** One round trip; throws when the database does not answer. */
  ping(): Promise<void>;
  /** Migrations this build has and the database lacks. */
  pendingMigrations(): Promise<number>;
  /** The database's clock, milliseconds since the epoch. */
  now(): Promise<number>;
  /** Whether it refuses writes: a standby, or told to. */
  readOnly(): Promise<boolean>;
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
  /** As `poolerAt` answers; none. Behind one, settings are statements; one of transactions gets no prepared ones. */
  pooler?: Pooler;
};

/** Beyond the server's own limit of a statement: how late its answer may be. */
const ANSWER_MARGIN_MS = 1500;

const REPORT_CONNECTIONS = 3;

/**
 * Every statement sent through `unsafe` is followed: the driver's own `begin`, drizzle's and ours. One sent as a tagged
 * template is not, since that may be a fragment of another: no lane or transaction gets one.
 */
function followed(sql: Sql, watchdog: Watchdog): Sql {
  const send = sql.unsafe;
  sql.unsafe = ((...args: Parameters<typeof send>) => watchdog.follow(send(...args))) as typeof send;
  return sql;
}

type Settings = Record<string, string | number>;
const setting = (scope: 'session' | 'local', settings: Settings): string =>
  Object.entries(settings)
    .map(([name, value]) => `set ${scope} ${name} = '${value}'`)
    .join(';');

type Open = (watchdog: Watchdog, more: Options<Record<string, never>>) => Sql;

/** One connection. `statement` goes before everything else on it, and again when it was opened anew. */
function set(open: Open, watchdog: Watchdog, connection: object, statement: string): Sql {
  let isSet = false;
  const onclose = () => {
    isSet = false;
  };
  const sql = open(watchdog, { connection, max: 1, max_lifetime: null, onclose } as object);
  const send = sql.unsafe;
  sql.unsafe = ((...args: Parameters<typeof send>) => {
    if (!isSet) {
      isSet = true;
      // When this fails, so does the connection, and with it what was sent after it.
      send(statement).catch(onclose);
    }
    return send(...args);
  }) as typeof send;
  return sql;
}

/** The first one, which hands statements to all of them in turn. */
function inTurn(clients: Sql[]): Sql {
  const [first] = clients as [Sql];
  const sends = clients.map((sql) => sql.unsafe);
  let turn = 0;
  first.unsafe = ((...args: Parameters<typeof first.unsafe>) =>
    sends[turn++ % sends.length]?.(...args)) as typeof first.unsafe;
  return first;
}

/** Lazily connects. @throws {AddressError} for a URL that cannot be honoured; nothing else until the first statement. */
export function connectDatabase(options: DatabaseOptions): Database {
  const address = addressOf(options.url);
  const statementTimeoutMs = options.statementTimeoutMs ?? 3000;
  const limitMs = statementTimeoutMs + ANSWER_MARGIN_MS;
  const pooler = options.pooler ?? 'none';
  const bounds = { lock_timeout: 2000, idle_in_transaction_session_timeout: 5000 };
  // Reads, commits and claims are by key: planning them for their parameters gains nothing, and a plan made while a
  // table was nearly empty must not scan it later (a claim then took 70 ms instead of 2, a login's read grew with flows).
  // Without seqscan a table that has to be read whole costs 10^10, for which the server compiles the plan: 0.2 to 0.8 s
  // for each run of a statement that takes 0.1 ms.
  const planned = { plan_cache_mode: 'force_generic_plan', enable_seqscan: 'off', jit: 'off' };
  const greeting =
    pooler === 'none'
      ? { statement_timeout: longGreeting(statementTimeoutMs), ...bounds }
      : longPooledGreeting();
  const connection = { application_name: 'vestibule', ...greeting };
  const inTransactions = { statement_timeout: statementTimeoutMs, ...bounds };
  const watchdogs: Watchdog[] = [];
  const clients: Sql[] = [];
  const open = (watchdog: Watchdog, more: Options<Record<string, never>>): Sql => {
    const sql = postgres({
      prepare: pooler !== 'transaction',
      onnotice: () => {},
      connect_timeout: 3,
      // The driver's own pauses grow to 20 s: a database that is back must not be waited for any longer.
      backoff: (retries: number) => Math.min(0.05 * 2 ** retries, 0.5),
      // The types this service stores need no catalogue look-up at connect.
      fetch_types: false,
      ...address,
      ...more,
      connection: { ...more.connection, ...address.connection },
      socket: (to: Parameters<Watchdog['socket']>[0]) => closingClean(watchdog.socket(to)),
    } as object);
    watchdogs.push(watchdog);
    clients.push(sql);
    // drizzle sets its date and JSON serializers on the client it is given; raw statements rely on the same ones.
    drizzle(sql, { schema, casing: 'snake_case' });
    return followed(sql, watchdog);
  };
  const lane = (max: number): Sql => {
    const watched = () => responseWatchdog({ limitMs, lane: true });
    if (pooler === 'session') {
      const settings = setting('session', { ...inTransactions, ...planned });
      return inTurn(Array.from({ length: max }, () => set(open, watched(), connection, settings)));
    }
    // Without sessions a single statement has the limits of its role, and the watchdog; plans are made anew each time.
    const own = pooler === 'none' ? { ...connection, ...planned } : connection;
    return open(watched(), { connection: own, max });
  };
  const pool = (max: number): Database['transaction'] => {
    const watchdog = responseWatchdog({ limitMs, lane: false });
    const closes: Closes = { count: 0 };
    const onclose = () => {
      closes.count += 1;
    };
    const sql = open(watchdog, { connection, max, max_lifetime: null, onclose });
    return (work) =>
      withTimeout(limitMs, (begun) =>
        inTransaction(sql, watchdog, closes, begun, (tx) => {
          // drizzle looks for its serializers on the client, and a transaction does not carry the pool's options.
          if (pooler !== 'none') void tx.unsafe(setting('local', inTransactions)).catch(() => {});
          const client = Object.assign(tx, { options: sql.options }) as unknown as Sql;
          return work(tx, drizzle(client, { casing: 'snake_case' }) as unknown as Reader);
        }),
      );
  };
  const readLane = lane(options.readLanes ?? 1);
  /** The one row of a statement without parameters. */
  const answerTo = async (text: string) => (await readLane.unsafe(text, [], { prepare: true }))[0];
  const writeLanes = options.writeLanes ?? 2;
  const writeLane = lane(writeLanes);

  return {
    reads: drizzle(readLane, { schema, casing: 'snake_case' }),
    writes: Object.assign(writeLane, createGroupCommit(writeLane, { lanes: writeLanes })),
    transaction: pool(options.poolSize),
    report: pool(REPORT_CONNECTIONS),
    ping: async () => {
      await answerTo('select 1');
    },
    pendingMigrations: () => pendingMigrations(readLane),
    now: async () =>
      Number((await answerTo('select extract(epoch from clock_timestamp()) * 1000 as now'))?.now),
    readOnly: async () =>
      (await answerTo(`select current_setting('transaction_read_only') = 'on' as "on"`))?.on ?? true,
    close: async () => {
      for (const watchdog of watchdogs) watchdog.stop();
      await Promise.all(clients.map((sql) => sql.end({ timeout: 5 })));
    },
  };
}
