/** The service of the tour: a process of its own on a free port, with a folder that goes when it ends. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

async function freePort(): Promise<number> {
  const probe = createServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as { port: number };
  probe.close();
  await once(probe, 'close');
  return port;
}

/** The service as `npm start` runs it, without any configuration of the shell. @throws Error with its output. */
export async function startService() {
  const dataDir = mkdtempSync(join(tmpdir(), 'vestibule-demo-'));
  chmodSync(dataDir, 0o711); // Postgres runs as another user when this is root.
  const port = await freePort();
  const child = spawn(process.execPath, [fileURLToPath(new URL('./main.ts', import.meta.url)), 'start'], {
    env: { PORT: String(port), DATA_DIR: dataDir },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // Ctrl-C reaches the tour only, which then ends the service in order.
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const ended = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const stop = async (): Promise<void> => {
    if (!ended()) {
      child.kill('SIGTERM');
      await once(child, 'exit');
    }
    const elsewhere = join(dataDir, 'postgres', 'location');
    if (existsSync(elsewhere))
      rmSync(readFileSync(elsewhere, 'utf8').trim(), { recursive: true, force: true });
    rmSync(dataDir, { recursive: true, force: true });
  };
  const url = `http://127.0.0.1:${port}`;
  const answers = (path: string) =>
    fetch(url + path).then(
      (r) => r.ok,
      () => false,
    );
  while (!ended() && !(await answers('/health/ready'))) await delay(50);
  if (ended()) {
    await stop();
    throw new Error(`The service did not start.\n${output}`);
  }
  return { url, answers, stop };
}
