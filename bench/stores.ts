/** A private, durable Postgres and a private Redis for one benchmark run, or the ones given by BENCH_*_URL. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { chownSync, existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import postgres from 'postgres';
import { startEmbeddedPostgres } from '../db/embedded.ts';

export type Store = { url: string; pid: number | null; label: string; stop(): Promise<void> };

const NOBODY = 65_534;
const asRoot = process.getuid?.() === 0;
const account = asRoot ? { uid: NOBODY, gid: NOBODY } : {};

export function freePort(): Promise<number> {
  return new Promise((resolve, reject) => {
    const server = createServer().listen(0, '127.0.0.1', () => {
      const { port } = server.address() as { port: number };
      server.close(() => resolve(port));
    });
    server.on('error', reject);
  });
}

/** Polls; `gone` ends the wait early when what is awaited has ended. */
export async function until(
  ready: () => Promise<boolean>,
  what: string,
  gone: () => boolean = () => false,
  ms = 20_000,
): Promise<void> {
  const deadline = Date.now() + ms;
  while (!(await ready().catch(() => false))) {
    if (gone()) throw new Error(`${what} ended before it was ready`);
    if (Date.now() > deadline) throw new Error(`${what} did not become ready within ${ms} ms`);
    await delay(20);
  }
}

const ended = (child: ChildProcess): Promise<void> =>
  child.exitCode !== null || child.signalCode !== null
    ? Promise.resolve()
    : new Promise((resolve) => child.once('exit', () => resolve()));

/** Newest Postgres of the system (Debian's layout), or null. */
function systemBinaries(): string | null {
  const root = '/usr/lib/postgresql';
  if (!existsSync(root)) return null;
  const newest = readdirSync(root)
    .filter((v) => existsSync(join(root, v, 'bin/postgres')))
    .sort((a, b) => Number(b) - Number(a))[0];
  return newest ? join(root, newest, 'bin') : null;
}

const SETTINGS = [
  'fsync=on',
  'synchronous_commit=on',
  'shared_buffers=256MB',
  'max_wal_size=4GB',
  'unix_socket_directories=',
  'listen_addresses=127.0.0.1',
  'shared_preload_libraries=pg_stat_statements',
];

async function systemPostgres(bin: string): Promise<Store> {
  const dir = mkdtempSync(join(tmpdir(), 'vestibule-bench-pg-'));
  if (asRoot) chownSync(dir, NOBODY, NOBODY);
  const data = join(dir, 'data');
  const options = { ...account, cwd: dir, stdio: 'ignore' } as const;
  execFileSync(
    join(bin, 'initdb'),
    ['-D', data, '-U', 'bench', '-A', 'trust', '-E', 'UTF8', '--locale=C'],
    options,
  );
  const port = await freePort();
  const child = spawn(
    join(bin, 'postgres'),
    ['-D', data, '-p', String(port), ...SETTINGS.flatMap((s) => ['-c', s])],
    options,
  );
  const url = `postgres://bench@127.0.0.1:${port}/postgres`;
  const stop = async () => {
    child.kill('SIGINT');
    await ended(child);
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    await until(() => answers(url), 'Postgres');
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, pid: child.pid ?? null, label: await versionOf(url), stop };
}

async function answers(url: string): Promise<boolean> {
  const sql = postgres(url, { max: 1, connect_timeout: 1, onnotice: () => {} });
  try {
    await sql`select 1`;
    return true;
  } finally {
    await sql.end({ timeout: 1 });
  }
}

async function versionOf(url: string): Promise<string> {
  const sql = postgres(url, { max: 1 });
  const [row] = await sql`show server_version`;
  await sql.end();
  return `Postgres ${String(row?.server_version).split(' ')[0]}`;
}

/** The postmaster of a server that was started elsewhere, when it runs on this machine. */
async function postmasterOf(url: string): Promise<number | null> {
  const sql = postgres(url, { max: 1 });
  try {
    const [row] = await sql`select pg_backend_pid() as pid`;
    const stat = execFileSync('cat', [`/proc/${row?.pid}/stat`], { encoding: 'utf8' });
    return Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[1]);
  } catch {
    return null;
  } finally {
    await sql.end();
  }
}

export async function openPostgres(): Promise<Store> {
  const given = process.env.BENCH_DATABASE_URL;
  if (given)
    return {
      url: given,
      pid: await postmasterOf(given),
      label: await versionOf(given),
      stop: async () => {},
    };
  const bin = systemBinaries();
  if (bin) return systemPostgres(bin);
  const dataDir = mkdtempSync(join(tmpdir(), 'vestibule-bench-pg-'));
  const embedded = await startEmbeddedPostgres({ dataDir, log: () => {}, durable: true });
  return {
    url: embedded.url,
    pid: await postmasterOf(embedded.url),
    label: `${await versionOf(embedded.url)} (embedded)`,
    stop: async () => {
      await embedded.stop();
      rmSync(embedded.dataDir, { recursive: true, force: true });
      rmSync(dataDir, { recursive: true, force: true });
    },
  };
}

/** Null without a redis-server: both sides then count in their own process. */
export async function openRedis(): Promise<Store | null> {
  const given = process.env.BENCH_REDIS_URL;
  if (given) return { url: given, pid: null, label: 'Redis (given)', stop: async () => {} };
  let version: string;
  try {
    version = /v=(\S+)/.exec(execFileSync('redis-server', ['--version'], { encoding: 'utf8' }))?.[1] ?? '';
  } catch {
    return null;
  }
  const port = await freePort();
  const child = spawn(
    'redis-server',
    ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--maxmemory-policy', 'noeviction'],
    { stdio: 'ignore', cwd: tmpdir() },
  );
  const stop = async () => {
    child.kill('SIGTERM');
    await ended(child);
  };
  return { url: `redis://127.0.0.1:${port}`, pid: child.pid ?? null, label: `Redis ${version}`, stop };
}

/** A fresh database beside the one the URL names. */
export async function createDatabase(url: string, name: string): Promise<string> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  await sql.unsafe(`drop database if exists ${name} with (force)`);
  await sql.unsafe(`create database ${name}`);
  await sql.end();
  const made = new URL(url);
  made.pathname = `/${name}`;
  return made.href;
}
