/** A private PgBouncer before the Postgres of the test run, on a free port, with a folder of its own. */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { addressOf } from '../../db/address.ts';
import { freePort } from './server-process.ts';

const PROGRAM = '/usr/sbin/pgbouncer';
export const hasPgbouncer = spawnSync(PROGRAM, ['--version']).status === 0;

/** It does not run as root. */
const NOBODY = process.getuid?.() === 0 ? { uid: 65_534, gid: 65_534 } : {};

const answers = (port: number): Promise<boolean> =>
  new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => resolve(true));
    socket.on('error', () => resolve(false)).on('connect', () => socket.destroy());
  });

export type Pgbouncer = { url: string; stop(): Promise<void> };

/** `url`: the same database through the pooler. */
export async function pgbouncer(
  databaseUrl: string,
  mode: 'session' | 'transaction',
  more: string[] = [],
): Promise<Pgbouncer> {
  const port = await freePort();
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-pgbouncer-'));
  chmodSync(folder, 0o755);
  const { host, port: ports, user = '', pass = '' } = addressOf(databaseUrl);
  const login = `user=${user}${pass === '' ? '' : ` password='${pass.replaceAll("'", "''")}'`}`;
  const lines = [
    '[databases]',
    `* = host=${host[0]} port=${ports[0]} ${login}`,
    '[pgbouncer]',
    'listen_addr = 127.0.0.1',
    `listen_port = ${port}`,
    'unix_socket_dir =',
    'auth_type = any',
    `pool_mode = ${mode}`,
    'default_pool_size = 30',
    ...more,
  ];
  const file = join(folder, 'pgbouncer.ini');
  writeFileSync(file, `${lines.join('\n')}\n`);
  const child = spawn(PROGRAM, ['-q', file], { stdio: ['ignore', 'pipe', 'pipe'], ...NOBODY });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (text) => (output += text));
  const gone = once(child, 'exit');
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) child.kill('SIGKILL');
    await gone;
    rmSync(folder, { recursive: true, force: true });
  };
  const deadline = Date.now() + 20_000;
  while (!(await answers(port))) {
    if (child.exitCode !== null || Date.now() > deadline) {
      await stop();
      throw new Error(`PgBouncer does not answer: ${output}`);
    }
    await delay(20);
  }
  const url = new URL(databaseUrl);
  url.host = `127.0.0.1:${port}`;
  url.search = '';
  return { url: url.href, stop };
}
