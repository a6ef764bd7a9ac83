/** Process entry: configuration, stores, migrations, listen, and an orderly end. Nothing is decided here. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { startEmbeddedPostgres } from '../db/embedded.ts';
import { migrate } from '../db/migrate.ts';
import { buildApp } from './app.ts';
import { systemClock } from './clock.ts';
import { ConfigError, loadConfig } from './config.ts';
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
  const stops: Stop[] = [];
  let databaseUrl = config.database.url;
  if (databaseUrl === null) {
    const embedded = await startEmbeddedPostgres({ dataDir: join(config.dataDir, 'postgres'), log: say });
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
    announce(config, secrets);
    return end;
  } catch (error) {
    await end();
    throw error;
  }
}

/** Outside production, what is not configured is made once and kept under DATA_DIR. */
function secretsOf(config: ReturnType<typeof loadConfig>): Secrets {
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

function announce(config: ReturnType<typeof loadConfig>, secrets: Secrets): void {
  const url = `http://${config.host === '0.0.0.0' || config.host === '::' ? '127.0.0.1' : config.host}:${config.port}`;
  say(`Vestibule ${version} is ready`);
  say(`  API      ${url}`);
  if (config.docs.enabled) say(`  Docs     ${url}/docs`);
  if (config.console.enabled) say(`  Console  ${url}/console`);
  say(
    `  Database ${config.database.url === null ? `embedded Postgres in ${config.dataDir}` : 'DATABASE_URL'}`,
  );
  say(`  Counters ${config.redis.url === null ? 'in this process: run one process only' : 'Redis'}`);
  if (!config.demo) return;
  say(`  Demo     the code is 000000 for every number; nothing is sent; inbox at ${url}/dev/inbox`);
  say(
    `  Reviewer Authorization: Bearer ${secrets.adminToken.slice(0, 6)}… (in ${config.dataDir}/secrets.json)`,
  );
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
