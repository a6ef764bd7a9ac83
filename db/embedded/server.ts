/** Runs the programs of Postgres as the right user: `pg_ctl` starts, awaits and stops the server. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { createServer, type Socket } from 'node:net';
import { join } from 'node:path';

export type Account = { uid: number; gid: number };

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

const STOP = '"$0" stop -s -D "$1" -m fast -t 10 || "$0" stop -s -D "$1" -m immediate';
/** Reads until the service closes its end or is gone, kill -9 included, and ends Postgres then. */
const SERVE = `"$0" start -s -D "$1" -l "$2" -o "$3" || exit 1; echo ready; read -r _; ${STOP}`;

/**
 * Runs a program as the account, in a session of its own so that Ctrl-C reaches the service alone. Root gives up all
 * its powers but one: to enter folders, so that a checkout below /root works; access(2) heeds it by the secure bit only.
 * No PGOPTIONS or PGPORT is inherited.
 */
export function run(account: Account, program: string, args: string[]): ChildProcess {
  const { uid, gid } = account;
  const drop = [`--reuid=${uid}`, `--regid=${gid}`, '--clear-groups', '--no-new-privs'];
  const keep = ['--securebits=+no_setuid_fixup', '--inh-caps=+dac_override', '--ambient-caps=+dac_override'];
  const asRoot = process.geteuid?.() === 0;
  const [command, ...rest] = asRoot
    ? ['/usr/bin/setpriv', ...drop, ...keep, program, ...args]
    : [program, ...args];
  return spawn(command as string, rest, { cwd: '/', env: { LC_ALL: 'C' }, detached: true, stdio: 'pipe' });
}

/** The exit code; of a program that cannot be run, what the system says. */
export async function ended(child: ChildProcess): Promise<number | string> {
  const known = child.exitCode ?? child.signalCode;
  if (known !== null) return known;
  const [code] = await once(child, 'close').catch((error: Error) => [error.message]);
  return code;
}

/** Empty when the process does not run, or has ended and was not reaped. */
function commandLineOf(pid: number): string {
  try {
    if (fs.existsSync('/proc/self')) return fs.readFileSync(`/proc/${pid}/cmdline`, 'utf8');
    return execFileSync('/bin/ps', ['-o', 'command=', '-p', String(pid)], { encoding: 'utf8' });
  } catch {
    return '';
  }
}

/**
 * Ends the server of a killed process, keeping all it acknowledged. Postgres itself would trust the bare process id in
 * its file and refuse to start when another program has that number now. Called by the holder of the lock only.
 */
export async function stopOrphan(
  pgCtl: string,
  cluster: string,
  account: Account,
  log: (line: string) => void,
): Promise<void> {
  const file = join(cluster, 'postmaster.pid');
  if (!fs.existsSync(file)) return;
  const pid = Number.parseInt(fs.readFileSync(file, 'utf8'), 10);
  if (commandLineOf(pid).includes(cluster)) {
    log(`stopping the Postgres (process ${pid}) an earlier run left behind`);
    await ended(run(account, '/bin/sh', ['-c', STOP, pgCtl, cluster]));
  }
  if (commandLineOf(pid).includes(cluster))
    throw new Error(`Postgres process ${pid} on ${cluster} does not stop.`);
  fs.rmSync(file, { force: true });
}

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  await new Promise((closed) => probe.close(closed));
  return port;
}

/** Answers when the server accepts connections. Another program may take the free port first, so it tries again. */
export async function serve(pgCtl: string, home: string, account: Account, durable: boolean) {
  const logFile = join(home, 'postgres.log');
  for (let attempt = 1; ; attempt += 1) {
    const port = await freePort();
    const settings = { ...SETTINGS, port, ...(durable ? {} : VOLATILE) };
    const options = Object.entries(settings).map(([name, value]) => `-c ${name}=${value}`);
    fs.rmSync(logFile, { force: true });
    const shell = run(account, '/bin/sh', [
      '-c',
      SERVE,
      pgCtl,
      join(home, 'cluster'),
      logFile,
      options.join(' '),
    ]);
    const failed = ended(shell);
    const ready = shell.stdout ? once(shell.stdout, 'data').then(() => null) : failed;
    const failure = await Promise.race([ready, failed]);
    if (failure === null) {
      shell.unref();
      for (const pipe of [shell.stdin, shell.stdout, shell.stderr]) (pipe as unknown as Socket).unref();
      return { port, shell };
    }
    const tail = fs.existsSync(logFile)
      ? fs.readFileSync(logFile, 'utf8').trim().split('\n').slice(-5)
      : [failure];
    if (attempt === 5 || !/could not (bind|create any TCP)/.test(tail.join())) {
      throw new Error(`Postgres did not start: ${tail.join('\n')}. Set DATABASE_URL to use another server.`);
    }
  }
}
