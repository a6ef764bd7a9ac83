/** The two programs under comparison, started as processes with the same stores, keys and limits out of the way. */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { freePort, until } from './stores.ts';

export type Side = { url: string; pid: number; startMs: number; stop(): Promise<void> };

const root = fileURLToPath(new URL('..', import.meta.url));
const { scripts } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  scripts: { start: string };
};

/** Counts no benchmark reaches, in the windows that the service really uses. */
const RAISED = Object.fromEntries(
  Object.entries({
    LIMIT_CODE_SEND: '5m',
    LIMIT_CODE_SEND_DAILY: '1d',
    LIMIT_CODE_SEND_NETWORK: '1h',
    LIMIT_CODE_CHECK_DAILY: '1d',
    LIMIT_CODE_CHECK_NETWORK: '1h',
    LIMIT_SET_PASSWORD_NETWORK: '1h',
    LIMIT_PASSWORD_LOGIN: '15m',
    LIMIT_PASSWORD_LOGIN_NETWORK: '15m',
    LIMIT_REGISTER: '1h',
    LIMIT_REGISTER_NETWORK: '1h',
    LIMIT_REFRESH: '1m',
    LIMIT_SMS_RANGE: '10m',
    LIMIT_SMS_COUNTRY: '1h',
    LIMIT_SMS_ALL: '1m',
    LIMIT_SMS_DAILY: '1d',
    LIMIT_USER: '1m',
    LIMIT_NETWORK: '1m',
  }).map(([name, window]) => [name, `1000000/${window}`]),
);

async function start(args: string[], env: Record<string, string>, url: string, path: string): Promise<Side> {
  const started = performance.now();
  const { PATH = '', HOME = '' } = process.env;
  const child: ChildProcess = spawn(process.execPath, args, {
    cwd: root,
    env: { PATH, HOME, ...env },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const stop = async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    const gone = new Promise((resolve) => child.once('exit', resolve));
    child.kill('SIGTERM');
    await gone;
  };
  try {
    await until(
      async () => (await fetch(url + path)).status < 500,
      args.at(-1) ?? '',
      () => child.exitCode !== null,
    );
  } catch (error) {
    await stop();
    throw error;
  }
  return { url, pid: child.pid ?? 0, startMs: performance.now() - started, stop };
}

export type Stores = { databaseUrl: string; redisUrl: string | null };
export type Secrets = { masterKey: string; pepper: string; alg: string };

export async function startService({ databaseUrl, redisUrl }: Stores, secrets: Secrets): Promise<Side> {
  const port = await freePort();
  const dataDir = mkdtempSync(join(tmpdir(), 'vestibule-bench-'));
  const extra = process.env.BENCH_NODE_ARGS?.split(' ') ?? [];
  const side = await start(
    [...extra, ...scripts.start.replace('exec node ', '').split(' ')],
    {
      ...RAISED,
      LIMIT_CODE_SEND_COOLDOWN_SECONDS: '1',
      DATABASE_URL: databaseUrl,
      ...(redisUrl ? { REDIS_URL: redisUrl } : {}),
      DATA_DIR: dataDir,
      DEMO_MODE: 'false',
      // As production runs it: no console, one line per request.
      CONSOLE_ENABLED: 'false',
      LOG_FORMAT: 'json',
      PORT: String(port),
      MASTER_KEY: secrets.masterKey,
      PASSWORD_PEPPER: secrets.pepper,
      JWT_ALGORITHM: secrets.alg,
    },
    `http://127.0.0.1:${port}`,
    '/health/ready',
  );
  const stop = async () => {
    await side.stop();
    rmSync(dataDir, { recursive: true, force: true });
  };
  return { ...side, stop };
}

export async function startBaseline({ databaseUrl, redisUrl }: Stores, secrets: Secrets): Promise<Side> {
  const port = await freePort();
  return start(
    ['bench/baseline.ts'],
    {
      BASELINE_PORT: String(port),
      BASELINE_DATABASE_URL: databaseUrl,
      ...(redisUrl ? { BASELINE_REDIS_URL: redisUrl } : {}),
      PASSWORD_PEPPER: secrets.pepper,
      JWT_ALGORITHM: secrets.alg,
      NODE_ENV: 'production',
    },
    `http://127.0.0.1:${port}`,
    '/',
  );
}
