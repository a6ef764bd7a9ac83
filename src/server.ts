/** Process entry: configuration, stores, migrations, listen, and an orderly end. Nothing is decided here. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { startEmbeddedPostgres } from '../db/embedded.ts';
import { migrate } from '../db/migrate.ts';
import { type App, buildApp } from './app.ts';
import { systemClock } from './clock.ts';
import { type Config, ConfigError, loadConfig } from './config.ts';
import { loadOrCreateSecrets, type Secrets } from './secrets-file.ts';

const { version } = JSON.parse(readFileSync(new URL('../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

type Stop = () => Promise<void>;

async function main(): Promise<Stop> {
  const config = loadConfig();
  // Before there is a logger, JSON has to wait.
  const notes: string[] = [];
  const note = (line: string): void => void (config.logFormat === 'text' ? say(line) : notes.push(line));
  const stops: Stop[] = [];
  let databaseUrl = config.database.url;
  if (databaseUrl === null) {
    const embedded = await startEmbeddedPostgres({ dataDir: join(config.dataDir, 'postgres'), log: note });
    stops.push(() => embedded.stop());
    databaseUrl = embedded.url;
  }
  const end: Stop = async () => {
    for (const stop of stops.reverse()) await stop();
  };
  try {
    await migrate(databaseUrl);
    const secrets = secretsOf(config);
    const app = await buildApp({
      config,
      databaseUrl,
      secrets,
      clock: systemClock(config.clockOffsetMs),
      version: config.version ?? version,
    });
    stops.push(() => app.close());
    await app.server.listen({ host: config.host, port: config.port, backlog: 1024 });
    for (const note of notes) app.server.log.info(note);
    announce(app, config);
    return end;
  } catch (error) {
    await end();
    throw error;
  }
}

/** Outside production, what is not configured is made once and kept under DATA_DIR. */
function secretsOf(config: Config): Secrets {
  const { masterKey, passwordPepper, secretKey } = config;
  if (masterKey && passwordPepper && secretKey && config.env === 'production') {
    return {
      masterKey,
      passwordPepper,
      secretKey,
      webhookSecret: '',
      adminToken: config.bootstrapAdmin.token ?? '',
    };
  }
  const made = loadOrCreateSecrets(config.dataDir);
  return {
    ...made,
    ...(masterKey ? { masterKey } : {}),
    ...(passwordPepper ? { passwordPepper } : {}),
    ...(secretKey ? { secretKey } : {}),
  };
}

/** What a person needs next; a program gets one line. Only addresses that answer are named. */
function announce(app: App, config: Config): void {
  const { port } = app.server.server.address() as AddressInfo;
  const host = ['0.0.0.0', '::'].includes(config.host) ? '127.0.0.1' : config.host;
  const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
  const seconds = performance.now() / 1000;
  if (config.logFormat === 'json') {
    app.server.log.info({ version, url, seconds: Number(seconds.toFixed(2)) }, 'ready');
    return;
  }
  const has = (path: string) => app.server.hasRoute({ method: 'GET', url: path });
  const line = (name: string, text: string) => say(`  ${styleText('dim', name.padEnd(10))}${text}`);
  const link = (name: string, path: string) => {
    if (path === '' || has(path)) line(name, styleText('cyan', `${url}${path}`));
  };
  say(`\n  ${styleText('bold', `Vestibule ${version}`)} is ready in ${seconds.toFixed(1)} s\n`);
  link('API', '');
  if (config.docs.enabled) link('Docs', '/docs');
  link('Console', '/console');
  link('Inbox', '/dev/inbox');
  const embedded = config.database.url === null;
  const counters = config.redis.url === null ? 'counters in this process: run one only' : 'counters in Redis';
  line('Data', `${embedded ? `Postgres in ${config.dataDir}` : 'Postgres'}; ${counters}`);
  if (config.demo) {
    const reviewer = config.bootstrapAdmin.token
      ? 'ADMIN_TOKEN'
      : `adminToken in ${config.dataDir}/secrets.json`;
    line('Demo', `the code is ${styleText('bold', '000000')} for every number; nothing is sent`);
    line('Reviewer', `Bearer token: ${reviewer}`);
  }
  say(`\n  Try it: the commands in README.md, or npm run demo. Stop: Ctrl-C.\n`);
}

/** The first signal ends in order; the second ends at once. */
function endOnSignal(stop: Stop): void {
  let ending = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (ending) process.exit(1);
      ending = true;
      stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
}

if (Number(process.versions.node.split('.')[0]) < 24) {
  process.stderr.write('Vestibule needs Node 24: start it with `npm start`, which brings its own.\n');
  process.exit(1);
}
try {
  endOnSignal(await main());
} catch (error) {
  const line =
    error instanceof ConfigError ? error.message : `Vestibule could not start: ${(error as Error).message}`;
  process.stderr.write(`${line}\n`);
  process.exit(1);
}
