/** From configuration to listening, and an orderly end: stores, migrations, the app. Nothing is decided here. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../../db/embedded.ts';
import type { Pooler } from '../../db/pooler.ts';
import { rootOf, wordsOf } from '../../db/words.ts';
import { type Config, ConfigError, ignoredVariables, loadConfig } from '../config/index.ts';
import type { Services } from '../http/services.ts';
import { systemClock } from '../kernel/clock.ts';
import { loadOrCreateSecrets, type Secrets } from '../kernel/crypto/secrets-file.ts';
import type { App } from './app.ts';
import { announce } from './banner.ts';

const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
  version: string;
};

export type Stop = () => Promise<void>;

type Note = (line: string) => void;

const noteOnStdout: Note = (line) => void process.stdout.write(`${line}\n`);
/** Commands keep standard output for their result. */
const noteOnStderr: Note = (line) => void process.stderr.write(`${line}\n`);

/** The configuration of the environment; what changes nothing is named. */
function configure(note: (config: Config) => Note): Config {
  const config = loadConfig();
  const ignored = ignoredVariables();
  if (ignored.length > 0) note(config)(`Set, but without effect: ${ignored.join(', ')}`);
  return config;
}

type OpenDatabase = { url: string; embeddedDir: string | null; stop: Stop };

/** Where Postgres answers; the embedded one is started. */
async function openDatabase({ database, dataDir }: Config, note: Note): Promise<OpenDatabase> {
  if (database.url !== null) return { url: database.url, embeddedDir: null, stop: async () => {} };
  const embedded = await startEmbeddedPostgres({ dataDir: join(dataDir, 'postgres'), log: note }).catch(
    (error) => {
      // A failed system call names itself and the path; anything else is a sentence already.
      throw error.syscall && error.path
        ? new ConfigError('DATA_DIR', `cannot be used: ${error.message}`)
        : error;
    },
  );
  return { url: embedded.url, embeddedDir: embedded.dataDir, stop: () => embedded.stop() };
}

/** How many migrations were applied. */
async function migrated({ database }: Config, url: string): Promise<number> {
  const { migrate, pendingMigrationsAt } = await import('../../db/migrate.ts');
  const variable = database.directUrl === null ? 'DATABASE_URL' : 'DATABASE_DIRECT_URL';
  try {
    if (database.pooler === 'transaction' && database.directUrl === null) {
      const pending = await pendingMigrationsAt(url);
      if (pending === 0) return 0;
      throw new ConfigError('DATABASE_DIRECT_URL', `is needed for ${pending} pending migrations: ${NO_LOCK}`);
    }
    return await migrate(database.directUrl ?? url);
  } catch (error) {
    throw database.url === null ? error : explained(error as Error & { code?: string }, variable);
  }
}

const NO_LOCK = 'a pooler in transaction mode cannot hold their lock';
const MIXES =
  'leads to a pooler in transaction mode: set DATABASE_POOLER=transaction, and DATABASE_DIRECT_URL for migrations';

/** What stands before the database. @throws ConfigError for a pooler of transactions that no setting names. */
async function poolerOf({ database }: Config): Promise<Pooler> {
  if (database.url === null) return 'none';
  if (database.pooler !== null) return database.pooler;
  const { poolerAt } = await import('../../db/pooler.ts');
  const found = await poolerAt(database.url).catch((error) => {
    throw explained(error, 'DATABASE_URL');
  });
  if (found === 'transaction') throw new ConfigError('DATABASE_URL', `(or DB_HOST and the like) ${MIXES}`);
  return found;
}

type Opened = { app: App; databaseUrl: string; end: Stop; embeddedDir: string | null };

/** Stores, migrations and the assembled app, without listening. @throws ConfigError or Error, with a line for the operator. */
async function open(config: Config, note: Note, options: { startRelay: boolean }): Promise<Opened> {
  // Most of a start is loading modules; Postgres starts meanwhile.
  const modules = Promise.all([import('../../db/migrate.ts'), import('./app.ts')]);
  const database = await openDatabase(config, note);
  const stops: Stop[] = [database.stop];
  const end: Stop = async () => {
    for (const stop of stops.reverse()) await stop();
  };
  try {
    const [, { buildApp }] = await modules;
    const pooler = await poolerOf(config);
    await migrated(config, database.url);
    const app = await buildApp({
      config,
      databaseUrl: database.url,
      pooler,
      secrets: secretsOf(config),
      clock: systemClock(config.clockOffsetMs),
      version: config.version ?? version,
      ...options,
    }).catch((error) => {
      throw error.name === 'DecryptionError' ? new ConfigError('MASTER_KEY', FOREIGN_KEY) : error;
    });
    stops.push(() => app.close());
    return { app, databaseUrl: database.url, end, embeddedDir: database.embeddedDir };
  } catch (error) {
    await end();
    throw error;
  }
}

/** @throws ConfigError or Error, with a line for the operator. Resolves when requests are answered. */
export async function start(): Promise<Stop> {
  // Before there is a logger, JSON has to wait.
  const notes: string[] = [];
  const noteFor = (config: Config): Note =>
    config.logFormat === 'text' ? noteOnStdout : (line) => void notes.push(line);
  const config = configure(noteFor);
  const { app, end, embeddedDir } = await open(config, noteFor(config), { startRelay: true });
  try {
    await listen(app, config);
    for (const note of notes) app.server.log.info(note);
    announce(app, config, { version, embeddedDir });
    return end;
  } catch (error) {
    await end();
    throw error;
  }
}

/** For commands: everything but HTTP and the relay. */
export async function openServices(): Promise<{ services: Services; databaseUrl: string; close: Stop }> {
  const { app, databaseUrl, end } = await open(
    configure(() => noteOnStderr),
    noteOnStderr,
    { startRelay: false },
  );
  return { services: app.services, databaseUrl, close: end };
}

/** For the command of that name: how many migrations were applied. */
export async function migrateOnly(): Promise<number> {
  const config = configure(() => noteOnStderr);
  const database = await openDatabase(config, noteOnStderr);
  try {
    // The lock of migrations is one of a session, which such a pooler does not keep.
    if (config.database.directUrl === null) await poolerOf(config);
    return await migrated(config, database.url);
  } finally {
    await database.stop();
  }
}

const FOREIGN_KEY =
  'is not the key this database was first used with (or DATA_DIR has lost its secrets.json)';

/** The network's answers, and Postgres's to a wrong user, password or database. */
const UNREACHABLE = /^(E[A-Z_]+|UNABLE_TO_[A-Z_]+|[A-Z_]*CERT[A-Z_]*|CONNECT_TIMEOUT|28P01|28000|3D000)$/;

/** With the variable that decides it, and in Postgres's own words. */
function explained(error: Error & { code?: string }, variable: string): Error {
  if (error instanceof ConfigError) return error;
  if (error.name === 'MissingRight') return new ConfigError(variable, error.message);
  const { code = '' } = rootOf(error);
  return UNREACHABLE.test(code)
    ? new ConfigError(
        variable,
        `(or DB_HOST and the like) leads to no database that accepts the connection: ${code}`,
      )
    : new ConfigError(variable, `cannot be used: ${wordsOf(error)}`);
}

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
      adminToken: config.adminToken ?? '',
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
