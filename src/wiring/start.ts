/** From configuration to listening, and an orderly end: stores, migrations, the app. Nothing is decided here. */
import { readFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { styleText } from 'node:util';
import { startEmbeddedPostgres } from '../../db/embedded.ts';
import { type Config, ConfigError, loadConfig, withoutEffect } from '../config/index.ts';
import type { Services } from '../http/services.ts';
import { systemClock } from '../kernel/clock.ts';
import { loadOrCreateSecrets, type Secrets } from '../kernel/crypto/secrets-file.ts';
import type { App } from './app.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

const say = (line: string): void => {
  process.stdout.write(`${line}\n`);
};

export type Stop = () => Promise<void>;

type Opened = { config: Config; app: App; end: Stop; notes: string[]; embeddedDir: string | null };

/** Stores, migrations and the assembled app, without listening. @throws ConfigError or Error, with a line for the operator. */
async function open(options: { startRelay: boolean }): Promise<Opened> {
  const config = loadConfig();
  // Before there is a logger, JSON has to wait.
  const notes: string[] = [];
  const note = (line: string): void => void (config.logFormat === 'text' ? say(line) : notes.push(line));
  const idle = withoutEffect();
  if (idle.length > 0) note(`Set, but without effect: ${idle.join(', ')}`);
  const stops: Stop[] = [];
  // Most of a start is loading modules; Postgres starts meanwhile.
  const modules = Promise.all([import('../../db/migrate.ts'), import('./app.ts')]);
  let databaseUrl = config.database.url;
  let embeddedDir: string | null = null;
  if (databaseUrl === null) {
    const embedded = await startEmbeddedPostgres({
      dataDir: join(config.dataDir, 'postgres'),
      log: note,
    }).catch((error) => {
      // A failed system call names itself and the path; anything else is a sentence already.
      throw error.syscall && error.path
        ? new ConfigError('DATA_DIR', `cannot be used: ${error.message}`)
        : error;
    });
    stops.push(() => embedded.stop());
    databaseUrl = embedded.url;
    embeddedDir = embedded.dataDir;
  }
  const end: Stop = async () => {
    for (const stop of stops.reverse()) await stop();
  };
  try {
    const [{ migrate }, { buildApp }] = await modules;
    await migrate(databaseUrl).catch((error) => {
      throw config.database.url !== null && UNREACHABLE.test(error.code) ? unreachable(error) : error;
    });
    const app = await buildApp({
      config,
      databaseUrl,
      secrets: secretsOf(config),
      clock: systemClock(config.clockOffsetMs),
      version: config.version ?? version,
      ...options,
    }).catch((error) => {
      throw error.name === 'DecryptionError' ? new ConfigError('MASTER_KEY', FOREIGN_KEY) : error;
    });
    stops.push(() => app.close());
    return { config, app, end, notes, embeddedDir };
  } catch (error) {
    await end();
    throw error;
  }
}

/** @throws ConfigError or Error, with a line for the operator. Resolves when requests are answered. */
export async function start(): Promise<Stop> {
  const { config, app, end, notes, embeddedDir } = await open({ startRelay: true });
  try {
    await listen(app, config);
    for (const note of notes) app.server.log.info(note);
    announce(app, config, embeddedDir);
    return end;
  } catch (error) {
    await end();
    throw error;
  }
}

/** For commands: everything but HTTP and the relay. */
export async function openServices(): Promise<{ services: Services; close: Stop }> {
  const { app, end } = await open({ startRelay: false });
  return { services: app.services, close: end };
}

const FOREIGN_KEY =
  'is not the key this database was first used with (or DATA_DIR has lost its secrets.json)';

/** The network's answers, and Postgres's to a wrong user, password or database. */
const UNREACHABLE = /^(E[A-Z]+|CONNECT_TIMEOUT|28P01|28000|3D000)$/;
const unreachable = ({ code }: { code: string }) =>
  new ConfigError('DATABASE_URL', `(or DB_HOST and the like) leads to no database that lets us in: ${code}`);

const UNUSABLE: Record<string, (config: Config) => ConfigError> = {
  EADDRINUSE: ({ host, port }) => new ConfigError('PORT', `${port} is already in use on ${host}`),
  EACCES: ({ port }) => new ConfigError('PORT', `${port} may not be used by this user`),
  EADDRNOTAVAIL: () => new ConfigError('HOST', 'is not an address of this machine'),
  ENOTFOUND: () => new ConfigError('HOST', 'is not an address of this machine'),
};

async function listen(app: App, config: Config): Promise<void> {
  try {
    await app.server.listen({ host: config.host, port: config.port, backlog: 1024 });
  } catch (error) {
    throw UNUSABLE[(error as { code?: string }).code ?? '']?.(config) ?? error;
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
      introspectionToken: config.introspectionToken ?? '',
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
function announce(app: App, config: Config, embeddedDir: string | null): void {
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
  link('Inspector', '/dev/inspect');
  link('Inbox', '/dev/inbox');
  const counters = config.redis.url === null ? 'counters in this process: run one only' : 'counters in Redis';
  line('Data', `Postgres${embeddedDir === null ? '' : ` in ${embeddedDir}`}; ${counters}`);
  if (config.demo) {
    const reviewer = config.bootstrapAdmin.token
      ? 'ADMIN_TOKEN'
      : `adminToken in ${config.dataDir}/secrets.json`;
    line('Demo', `the code is ${styleText('bold', '000000')} for every number; nothing is sent`);
    line('Reviewer', `Bearer token: ${reviewer}`);
    const service = config.introspectionToken
      ? 'INTROSPECTION_TOKEN'
      : `introspectionToken in ${config.dataDir}/secrets.json`;
    line('Service', `Bearer token for introspection: ${service}`);
  }
  say(`\n  Try it: the commands in README.md, or npm run demo. Stop: Ctrl-C.\n`);
}
