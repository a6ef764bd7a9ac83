/** One more process of the real service, on a port and a database the test chooses; it can be killed at any instant. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { loadOrCreateSecrets, type Secrets } from '../../src/kernel/crypto/secrets-file.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const ROOT = fileURLToPath(new URL('../..', import.meta.url));

export type Family = { dataDir: string; secrets: Secrets; remove(): void };

/** What replicas of one service share: a folder with their secrets. */
export function family(): Family {
  const dataDir = mkdtempSync(join(tmpdir(), 'vestibule-family-'));
  return {
    dataDir,
    secrets: loadOrCreateSecrets(dataDir),
    remove: () => rmSync(dataDir, { recursive: true, force: true }),
  };
}

export type Answer = {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into answers of every shape
  body: any;
  headers: Headers;
};

export type Replica = {
  url: string;
  pid: number;
  /** What it printed so far. */
  output(): string;
  /** One request over a real socket. Throws when there is no answer. */
  call(
    method: string,
    path: string,
    options?: { body?: unknown; token?: string | undefined; headers?: Record<string, string> },
  ): Promise<Answer>;
  /** Ends it the hard way unless another signal is named, and waits until it is gone. */
  kill(signal?: NodeJS.Signals): Promise<void>;
  /** Ends it in order. */
  stop(): Promise<number | null>;
};

export type ReplicaOptions = {
  databaseUrl: string;
  redisUrl?: string | undefined;
  family: Family;
  env?: Record<string, string>;
  port?: number;
};

/** A deadline for what hangs, not a measure: on a busy machine a start takes long. */
const READY_WITHIN_MS = 60_000;

/** Starts a process and waits until it answers as ready. */
export async function startReplica(options: ReplicaOptions): Promise<Replica> {
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  let output = '';
  const child = spawn(process.execPath, ['--disable-warning=FSTDEP023', MAIN, 'start'], {
    cwd: ROOT,
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'test',
      DEMO_MODE: 'false',
      SMS_ADAPTER: 'local',
      KYC_ADAPTER: 'local',
      JWT_ALGORITHM: 'ES256',
      LOG_LEVEL: 'error',
      DOCS_ENABLED: 'false',
      HOST: '127.0.0.1',
      PORT: String(port),
      DATA_DIR: options.family.dataDir,
      DATABASE_URL: options.databaseUrl,
      ...(options.redisUrl ? { REDIS_URL: options.redisUrl } : {}),
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      output += text;
    });
  }
  const gone = once(child, 'exit');
  const replica: Replica = {
    url,
    pid: child.pid ?? 0,
    output: () => output,
    async call(method, path, { body, token, headers = {} } = {}) {
      const answer = await fetch(url + path, {
        method,
        headers: {
          ...headers,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(15_000),
      });
      const text = await answer.text();
      const json = answer.headers.get('content-type')?.includes('json') && text !== '';
      return { status: answer.status, body: json ? JSON.parse(text) : text, headers: answer.headers };
    },
    async kill(signal = 'SIGKILL') {
      if (running(child)) child.kill(signal);
      if (running(child)) await gone;
    },
    async stop() {
      await replica.kill('SIGTERM');
      return child.exitCode;
    },
  };
  try {
    await ready(replica, child);
  } catch (error) {
    await replica.kill();
    throw error;
  }
  return replica;
}

const running = (child: ChildProcess): boolean => child.exitCode === null && child.signalCode === null;

async function ready(replica: Replica, child: ChildProcess): Promise<void> {
  const end = Date.now() + READY_WITHIN_MS;
  for (;;) {
    if (!running(child)) throw new Error(`the service ended while starting:\n${replica.output()}`);
    const answer = await replica.call('GET', '/health/ready').catch(() => null);
    if (answer?.status === 200) return;
    if (Date.now() > end) throw new Error(`the service was not ready:\n${replica.output()}`);
    await delay(50);
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  server.close();
  await once(server, 'close');
  return port;
}
