/** A private redis-server on a free port, for tests that need a real one or need to break it. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Redis } from 'ioredis';

export const hasRedisServer = spawnSync('redis-server', ['--version']).status === 0;

export type PrivateRedis = {
  url: string;
  port: number;
  /** Starts it (again, on the same port) and waits until it answers. */
  start(...args: string[]): Promise<void>;
  stop(): Promise<void>;
  /** Alive but silent, as a stuck host is. */
  freeze(): void;
  thaw(): void;
};

export async function privateRedis(): Promise<PrivateRedis> {
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  let child: ChildProcess | null = null;
  let folder = '';

  const stop = async () => {
    if (!child) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
    child = null;
    rmSync(folder, { recursive: true, force: true });
  };

  return {
    url,
    port,
    stop,
    async start(...args) {
      folder = mkdtempSync(join(tmpdir(), 'vestibule-redis-'));
      const fixed = ['--port', String(port), '--bind', '127.0.0.1', '--save', '', '--dir', folder];
      child = spawn('redis-server', [...fixed, ...args], { stdio: 'ignore' });
      await answers(url);
    },
    freeze: () => void child?.kill('SIGSTOP'),
    thaw: () => void child?.kill('SIGCONT'),
  };
}

/** Polls until `probe` gives a truthy value; throws after `deadlineMs`. */
export async function eventually<T>(probe: () => T | Promise<T>, deadlineMs = 5000): Promise<T> {
  const end = Date.now() + deadlineMs;
  for (;;) {
    const value = await probe();
    if (value) return value;
    if (Date.now() > end) throw new Error(`not within ${deadlineMs} ms`);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

async function answers(url: string): Promise<void> {
  const client = new Redis(url, { retryStrategy: () => 20, maxRetriesPerRequest: null });
  client.on('error', () => {});
  await client.ping();
  client.disconnect();
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
