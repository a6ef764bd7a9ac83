/** Runs the Postgres programs: initdb, the postmaster and what ends it. Knows nothing about where files belong. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { Account } from './access.ts';
import { commandLineOf, startTimeOf, until } from './processes.ts';

export const ROLE = 'vestibule';

/** Real durability in little memory. Autovacuum and the rest stay at Postgres' defaults. */
const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  max_connections: '100',
  shared_buffers: '32MB',
  wal_level: 'minimal',
  max_wal_senders: '0',
  max_wal_size: '256MB',
  io_method: 'sync', // The default keeps three worker processes for reads this small cache rarely needs.
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_checkpoints: 'off',
  log_min_messages: 'warning',
};

const VOLATILE = { fsync: 'off', synchronous_commit: 'off', full_page_writes: 'off', autovacuum: 'off' };

/** As root the child drops to `account`; it inherits no environment, so no PGOPTIONS or PGPORT can bend it. */
const options = (account: Account) => ({
  ...(process.geteuid?.() === 0 ? account : {}),
  cwd: '/',
  env: { LC_ALL: 'C' },
});

/** Creates a cluster whose only way in is loopback TCP with the password in `passwordFile`. */
export async function initdb(
  bin: string,
  account: Account,
  dir: string,
  passwordFile: string,
  durable: boolean,
): Promise<void> {
  const child = spawn(
    join(bin, 'initdb'),
    [
      ...[
        '-D',
        dir,
        '-U',
        ROLE,
        '-E',
        'UTF8',
        '--locale=C',
        '--auth-local=reject',
        '--auth-host=scram-sha-256',
      ],
      // The password is 192 random bits: stretching it would only make each connection slower.
      ...['--pwfile', passwordFile, '--set', 'scram_iterations=1', '--no-instructions'],
      ...(durable ? [] : ['--no-sync']),
    ],
    { ...options(account), stdio: ['ignore', 'ignore', 'pipe'] },
  );
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaint += text;
  });
  const [code] = await once(child, 'close').catch((error: Error) => {
    complaint = error.message;
    return ['not started'];
  });
  if (code !== 0)
    throw new Error(`initdb failed (${code}): ${complaint.trim()}. Set DATABASE_URL to use another server.`);
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Lines of `postmaster.pid`: pid, folder, start, port, socket folder, address, shared memory, status. */
function postmasterFile(cluster: string): string[] {
  try {
    return readFileSync(join(cluster, 'postmaster.pid'), 'utf8').split('\n');
  } catch {
    return [];
  }
}

/**
 * Ends a server left behind by a killed process, keeping all it acknowledged, and clears its pid file. Postgres itself
 * would trust the bare pid in it and refuse to start when another process has that number now.
 */
export async function stopOrphan(cluster: string, log: (line: string) => void): Promise<void> {
  const pid = Number(postmasterFile(cluster)[0]);
  if (!pid) return;
  const started = commandLineOf(pid)?.includes(` -D ${cluster} `) ? startTimeOf(pid) : undefined;
  const gone = () => startTimeOf(pid) !== started;
  for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
    if (started === undefined || gone()) break;
    log(`stopping the Postgres (process ${pid}) an earlier run left behind`);
    process.kill(pid, signal);
    await until(gone, 10_000);
  }
  if (started !== undefined && !gone())
    throw new Error(`Postgres process ${pid} on ${cluster} does not stop.`);
  rmSync(join(cluster, 'postmaster.pid'), { force: true });
}

/** Ends Postgres when this process is gone without a word: its pipe closes, and the shell's `read` returns. */
function watch(pid: number, account: Account): ChildProcess {
  const guard = spawn('/bin/sh', ['-c', 'read -r _; kill -INT "$0"', String(pid)], {
    ...options(account),
    detached: true,
    stdio: ['pipe', 'ignore', 'ignore'],
  });
  guard.on('error', () => {}); // Without a shell the next start cleans up instead.
  guard.stdin?.on('error', () => {});
  guard.unref();
  (guard.stdin as unknown as { unref?(): void } | null)?.unref?.();
  return guard;
}

const RETRYABLE = /could not (bind|create any TCP)|pre-existing shared memory block/;

/**
 * Starts the postmaster on a free loopback port and answers when it accepts connections. It lives in a session of its
 * own, so that Ctrl-C in a terminal reaches this process alone and Postgres outlives the last request.
 * @throws Error with the end of the server's log.
 */
export async function startServer(
  bin: string,
  account: Account,
  cluster: string,
  logFile: string,
  durable: boolean,
): Promise<{ port: number; stop(): Promise<void> }> {
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const settings = { ...SETTINGS, port: String(port), ...(durable ? {} : VOLATILE) };
    rmSync(logFile, { force: true }); // It may be another user's, from a start as root.
    const output = openSync(logFile, 'wx', 0o600);
    const child = spawn(
      join(bin, 'postgres'),
      ['-D', cluster, ...Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])],
      { ...options(account), detached: true, stdio: ['ignore', output, output] },
    );
    closeSync(output);
    let failure: Error | undefined;
    child.on('error', (error) => {
      failure = error;
    });
    const ended = () => failure !== undefined || child.exitCode !== null || child.signalCode !== null;
    const ready = () => {
      const lines = postmasterFile(cluster);
      return Number(lines[0]) === child.pid && lines[7]?.trim() === 'ready';
    };
    const guard = child.pid === undefined ? undefined : watch(child.pid, account);
    const signal = (name: NodeJS.Signals) => {
      guard?.kill('SIGKILL');
      if (!ended()) child.kill(name);
    };
    const atExit = () => void signal('SIGINT');
    process.once('exit', atExit);
    child.once('exit', () => {
      guard?.kill('SIGKILL');
      process.off('exit', atExit);
    });
    const stop = async () => {
      for (const name of ['SIGINT', 'SIGQUIT', 'SIGKILL'] as const) {
        signal(name);
        if (await until(ended, 10_000)) return;
      }
    };
    await until(() => ended() || ready(), 60_000);
    if (!ended() && ready()) {
      child.unref();
      return { port, stop };
    }
    await stop();
    process.off('exit', atExit);
    const tail = readFileSync(logFile, 'utf8').trim().split('\n').slice(-5).join('\n');
    if (attempt === 5 || !RETRYABLE.test(tail)) {
      throw new Error(
        `Postgres did not start: ${failure?.message ?? tail}. Set DATABASE_URL to use another server.`,
      );
    }
    await delay(100);
  }
}
