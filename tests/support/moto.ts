/** AWS KMS as `moto` imitates it, from PyPI into a virtual environment that is kept; null, with the reason, where it cannot be had. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { freePort } from './replica.ts';

const VERSION = '5.2.5';
const HOME = process.env.TEST_MOTO_HOME ?? join(tmpdir(), `vestibule-moto-${VERSION}`);

export type Moto = { url: string; stop(): Promise<void> };

function install(): string {
  const binary = join(HOME, 'bin', 'moto_server');
  if (existsSync(binary)) return binary;
  execFileSync('python3', ['-m', 'venv', HOME], { stdio: 'pipe', timeout: 60_000 });
  execFileSync(join(HOME, 'bin', 'pip'), ['install', '-q', `moto[kms,server]==${VERSION}`], {
    stdio: 'pipe',
    timeout: 240_000,
  });
  return binary;
}

export async function startMoto(): Promise<Moto | { missing: string }> {
  let binary: string;
  try {
    binary = install();
  } catch (error) {
    return { missing: (error as Error).message.split('\n')[0] ?? 'unknown' };
  }
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server: ChildProcess = spawn(binary, ['-H', '127.0.0.1', '-p', String(port)], { stdio: 'ignore' });
  const stop = async () => {
    const gone = new Promise((done) => server.once('exit', done));
    server.kill('SIGKILL');
    if (server.exitCode === null && server.signalCode === null) await gone;
  };
  for (let left = 600; left > 0; left--) {
    const up = await fetch(`${url}/moto-api/`).then(
      () => true,
      () => false,
    );
    if (up) return { url, stop };
    await delay(100);
  }
  await stop();
  return { missing: 'moto_server did not start' };
}
