/** Brings up stores, both sides and the load, and measures one operation on one side at a time. */
import { fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { cpuMsOf, rssMbOf } from './cpu.ts';
import type { Command, Outcome, Reply } from './load.ts';
import { OPTIONAL, type Target } from './operations.ts';
import { seed } from './people.ts';
import { type Side, startBaseline, startService } from './sides.ts';
import { createDatabase, openPostgres, openRedis, until } from './stores.ts';

export type SideName = Target['name'];
/** What each side was measured at, round by round. */
export type Series = Record<SideName, Measured[]>;

/** `parts`: server, Postgres, Redis. */
export type Measured = Outcome & { cpuMs: number; parts: number[]; statements: number };
export type Load = { run(command: Command, between?: () => Promise<void>): Promise<Outcome>; stop(): void };

export function startLoad(): Load {
  const child = fork(fileURLToPath(new URL('./load.ts', import.meta.url)), { stdio: 'inherit' });
  const next = () =>
    new Promise<Reply>((resolve, reject) => {
      child.once('message', (reply: Reply) => {
        child.off('exit', reject);
        resolve(reply);
      });
      child.once('exit', reject);
    });
  return {
    async run(command, between) {
      const prepared = next();
      child.send(command);
      const first = await prepared;
      if ('failure' in first) throw new Error(first.failure);
      await between?.();
      const outcome = next();
      child.send('go');
      const second = await outcome;
      if (!('outcome' in second)) throw new Error('failure' in second ? second.failure : 'no outcome');
      return second.outcome;
    },
    stop: () => child.kill(),
  };
}

/** Statements per database so far: exact with pg_stat_statements, else committed transactions, flushed with a delay. */
async function statementCounter(url: string) {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  const exact = await sql`create extension if not exists pg_stat_statements`
    .then(
      () => sql`select count(*) from pg_stat_statements`.then(() => true),
      () => false,
    )
    .catch(() => false);
  return {
    exact,
    async count(database: string): Promise<number> {
      const [row] = exact
        ? await sql`select coalesce(sum(calls), 0) as n from pg_stat_statements s join pg_database d on d.oid = s.dbid where d.datname = ${database}`
        : await sql`select xact_commit as n from pg_stat_database where datname = ${database}`;
      return Number(row?.n);
    },
    /** The costliest statements since the start, for whoever is tuning. */
    async costliest(database: string, rows: number): Promise<string[]> {
      if (!exact) return [];
      const found = await sql`
        select calls, total_exec_time as ms, left(regexp_replace(query, '\\s+', ' ', 'g'), 160) as query
        from pg_stat_statements s join pg_database d on d.oid = s.dbid
        where d.datname = ${database} order by total_exec_time desc limit ${rows}`;
      return found.map((r) => `${(r.ms / r.calls).toFixed(3)} ms × ${r.calls}  ${r.query}`);
    },
    reset: async () => {
      if (exact) await sql`select pg_stat_statements_reset()`;
    },
    close: () => sql.end(),
  };
}

export type Arena = Awaited<ReturnType<typeof openArena>>;

export async function openArena(options: { alg: string; accounts: number; active?: number }) {
  const stops: (() => Promise<unknown> | unknown)[] = [];
  const close = async () => {
    for (const stop of stops.reverse()) await stop();
    stops.length = 0;
  };
  try {
    const pg = await openPostgres();
    stops.push(pg.stop);
    const redis = await openRedis();
    if (redis) stops.push(redis.stop);
    const databases: Record<SideName, string> = {
      service: await createDatabase(pg.url, 'bench_service'),
      baseline: await createDatabase(pg.url, 'bench_baseline'),
    };
    const secrets = {
      masterKey: randomBytes(32).toString('hex'),
      pepper: randomBytes(32).toString('hex'),
      alg: options.alg,
    };
    const store = (name: SideName, db: number) => ({
      databaseUrl: databases[name],
      redisUrl: redis && `${redis.url}/${db}`,
    });
    const first = await startService(store('service', 0), secrets);
    await first.stop();
    const sides: Record<SideName, Side> = {
      baseline: await startBaseline(store('baseline', 1), secrets),
      service: await startService(store('service', 0), secrets),
    };
    stops.push(() => Promise.all([sides.service.stop(), sides.baseline.stop()]));
    const active = Math.min(options.active ?? 20_000, options.accounts);
    await seed({
      serviceUrl: databases.service,
      baselineUrl: databases.baseline,
      ...secrets,
      active,
      total: options.accounts,
    });
    const counter = await statementCounter(pg.url);
    stops.push(counter.close);
    const load = startLoad();
    stops.push(load.stop);
    const { paths } = (await (await fetch(`${sides.service.url}/openapi.json`)).json()) as { paths: object };
    const target = (name: SideName): Target => ({
      name,
      url: sides[name].url,
      masterKey: secrets.masterKey,
      seeded: active,
    });
    const cpuOf = (name: SideName) => [sides[name].pid, pg.pid, redis?.pid].map((pid) => cpuMsOf([pid]));

    const backlog = postgres(databases.service, { max: 1 });
    stops.push(() => backlog.end());
    /** Until the service has delivered its outbox. */
    const settled = async (name: SideName) => {
      await delay(100);
      if (name === 'baseline') return;
      const empty = async () =>
        Number((await backlog`select count(*) as n from outbox where status = 'pending'`)[0]?.n) === 0;
      await until(empty, 'the outbox', () => false, 60_000);
    };

    return {
      stores: [pg.label, redis?.label ?? 'no Redis: counters in process'],
      exactStatements: counter.exact,
      startMs: sides.service.startMs,
      costliest: () => counter.costliest('bench_service', 15),
      resetStatements: counter.reset,
      serviceRssMb: () => rssMbOf(sides.service.pid),
      target,
      /** Whether the service has the operation's route yet. */
      offers: (operation: string) => !OPTIONAL[operation] || Object.hasOwn(paths, OPTIONAL[operation]),
      async measure(name: SideName, operation: string, seconds: number, prepare: number, inFlight = 32) {
        let [cpu, statements] = [[0, 0, 0], 0];
        const command = { operation, target: target(name), inFlight, seconds, prepare };
        const outcome = await load.run(command, async () => {
          await settled(name);
          statements = await counter.count(`bench_${name}`);
          cpu = cpuOf(name);
        });
        // A machine busy with other things makes a few requests fail; a broken operation fails all of them.
        if (outcome.errors.length > outcome.count / 50)
          throw new Error(
            `${name}, ${operation}: ${outcome.errors.length} of ${outcome.count} failed: ${outcome.errors[0]}`,
          );
        // What the service owes for these requests is paid before its bill is read.
        await settled(name);
        const parts = cpuOf(name).map((ms, i) => (ms - (cpu[i] ?? 0)) / outcome.count);
        const cpuMs = parts.reduce((a, b) => a + b);
        const made = (await counter.count(`bench_${name}`)) - statements;
        return { ...outcome, cpuMs, parts, statements: made / outcome.count } satisfies Measured;
      },
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}
