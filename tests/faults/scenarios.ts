/** The long runs: each breaks one thing for as long as it takes some hundred people to sign up. */
import { readFileSync, rmSync } from 'node:fs';
import { mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../db/embedded.ts';
import { hasRedisServer, privateRedis } from '../limits/redis-server.ts';
import { tcpProxy } from './proxy.ts';
import { storm, type Verdict } from './storm.ts';

export type Options = { people: number; databaseUrl?: string; log: (line: string) => void };

type Cluster = {
  url: string;
  judge(): string;
  /** Ends Postgres, in order or as a crash would, and starts it again. */
  restart(how: 'fast' | 'immediate'): Promise<void>;
  /** No answer from it for a while. */
  stall(ms: number): Promise<void>;
  stop(): Promise<void>;
};

/** A durable Postgres of its own behind a fixed address. */
export async function ownCluster(log: (line: string) => void): Promise<Cluster> {
  const dataDir = await mkdtemp(join(tmpdir(), 'vestibule-faults-'));
  let postgresNow: EmbeddedPostgres = await startEmbeddedPostgres({ dataDir, log });
  const portOf = () => Number(new URL(postgresNow.url).port);
  const proxy = await tcpProxy(portOf());
  const url = new URL(postgresNow.url);
  url.port = String(proxy.port);
  return {
    url: url.href,
    judge: () => postgresNow.url,
    async restart(how) {
      if (how === 'immediate') {
        const sql = postgres(postgresNow.url, { max: 1, onnotice: () => {} });
        const [row] = await sql`show data_directory`;
        await sql.end();
        const pid = readFileSync(join(row?.data_directory, 'postmaster.pid'), 'utf8').split('\n')[0];
        process.kill(Number(pid), 'SIGQUIT');
      }
      await postgresNow.stop();
      postgresNow = await startEmbeddedPostgres({ dataDir, log });
      proxy.aim(portOf());
      proxy.cut();
    },
    async stall(ms) {
      proxy.stall();
      await delay(ms);
      proxy.resume();
    },
    async stop() {
      await proxy.close();
      await postgresNow.stop();
      rmSync(postgresNow.dataDir, { recursive: true, force: true });
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

async function withCluster(
  { databaseUrl, log }: Options,
  work: (url: string, cluster: Cluster | null) => Promise<Verdict>,
): Promise<Verdict> {
  if (databaseUrl) return work(databaseUrl, null);
  const cluster = await ownCluster(log);
  try {
    return await work(cluster.url, cluster);
  } finally {
    await cluster.stop();
  }
}

type Scenario = (options: Options) => Promise<Verdict | { skipped: string }>;

export const scenarios: Record<string, Scenario> = {
  /** The service is killed at random instants. */
  kill: (options) =>
    withCluster(options, (databaseUrl) =>
      storm({
        databaseUrl,
        people: options.people,
        concurrency: 8,
        // A start costs seconds of both cores: a shorter life would leave people nothing but starts.
        everyMs: 700,
        progress: (arrived) => {
          if (arrived % 20 === 0) options.log(`${arrived} have arrived`);
        },
        disturb: async (service) => {
          await service.crash();
          options.log('killed and started again');
        },
      }),
    ),

  /** Postgres is restarted under load, in order and as by a crash. */
  postgres: async (options) => {
    if (options.databaseUrl) return { skipped: 'restarts a Postgres of its own: leave DATABASE_URL unset' };
    let times = 0;
    return withCluster(options, (databaseUrl, cluster) =>
      storm({
        databaseUrl,
        judgeUrl: () => cluster!.judge(),
        people: options.people,
        concurrency: 6,
        everyMs: 700,
        maxDisturbances: 20,
        disturb: async () => {
          const how = times++ % 2 === 0 ? 'fast' : 'immediate';
          await cluster!.restart(how);
          options.log(`Postgres restarted (${how})`);
        },
      }),
    );
  },

  /** Postgres says nothing for longer than anybody waits for it, and for less. */
  stall: async (options) => {
    if (options.databaseUrl) return { skipped: 'stalls a Postgres of its own: leave DATABASE_URL unset' };
    let times = 0;
    return withCluster(options, (databaseUrl, cluster) =>
      storm({
        databaseUrl,
        judgeUrl: () => cluster!.judge(),
        people: options.people,
        concurrency: 6,
        everyMs: 500,
        maxDisturbances: 5,
        disturb: async () => {
          const ms = times++ % 2 === 0 ? 7000 : 3000;
          await cluster!.stall(ms);
          options.log(`Postgres was silent for ${ms / 1000} s`);
        },
      }),
    );
  },

  /** Redis disappears and comes back: what guards a secret or money waits for it, nothing acknowledged is lost. */
  redis: async (options) => {
    if (!hasRedisServer) return { skipped: 'no redis-server on this machine' };
    const redis = await privateRedis();
    await redis.start();
    try {
      return await withCluster(options, (databaseUrl) =>
        storm({
          databaseUrl,
          redisUrl: redis.url,
          people: options.people,
          concurrency: 6,
          everyMs: 1000,
          maxDisturbances: 10,
          disturb: async () => {
            await redis.stop();
            await delay(500 + Math.random() * 1000);
            await redis.start();
            options.log('Redis was away');
          },
        }),
      );
    } finally {
      await redis.stop();
    }
  },
};
