/** The server as people start it: a process of its own, on a free port, with a folder of its own. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../../', import.meta.url));

export async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}

/** Nothing of the test run's own configuration, only what finding programs and libraries needs. */
export const bareEnvironment = (): Record<string, string> =>
  Object.fromEntries(
    ['PATH', 'HOME', 'LANG', 'TMPDIR'].flatMap((name) =>
      process.env[name] ? [[name, process.env[name]]] : [],
    ),
  );

export type ServerProcess = { url: string; output(): string; stop(): Promise<void> };

/** Resolves when it is ready. @throws Error with the output when it ends before that, or after 60 s. */
export async function startServerProcess(env: Record<string, string>): Promise<ServerProcess> {
  const port = await freePort();
  const dataDir = mkdtempSync(join(tmpdir(), 'vestibule-server-'));
  const child = spawn(process.execPath, ['src/cli/main.ts', 'start'], {
    cwd: root,
    env: { ...bareEnvironment(), PORT: String(port), DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const url = `http://127.0.0.1:${port}`;
  const stop = async () => {
    if (child.exitCode === null && child.signalCode === null) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    rmSync(dataDir, { recursive: true, force: true });
  };
  const deadline = performance.now() + 60_000;
  while (
    !(await fetch(`${url}/health/ready`).then(
      (r) => r.ok,
      () => false,
    ))
  ) {
    if (child.exitCode !== null || performance.now() > deadline) {
      await stop();
      throw new Error(`the server did not start:\n${output}`);
    }
    await delay(50);
  }
  return { url, output: () => output, stop };
}

/** A start, or another command, that is expected to end by itself: its exit code and its lines. */
export async function failingStart(
  env: Record<string, string>,
  command = 'start',
): Promise<{ code: number | null; lines: string[] }> {
  const dataDir = mkdtempSync(join(tmpdir(), 'vestibule-start-'));
  const child = spawn(process.execPath, ['src/cli/main.ts', command], {
    cwd: root,
    env: { ...bareEnvironment(), DATA_DIR: dataDir, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  rmSync(dataDir, { recursive: true, force: true });
  return { code, lines: output.split('\n').filter((line) => line !== '') };
}
