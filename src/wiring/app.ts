/** Everything wired on one screen: stores, secrets, limits, machines, routes. Listens to nothing, reads no environment. */
import type { FastifyInstance } from 'fastify';
import type { Pooler } from '../../db/pooler.ts';
import { wordsOf } from '../../db/words.ts';
import { memoryLimitStore, redisLimitStore } from '../adapters/limits/store.ts';
import type { Config } from '../config/index.ts';
import { commitAccount } from '../engine/account-commit.ts';
import { createFactorCheck } from '../engine/factor-check.ts';
import type { Relay } from '../engine/relay.ts';
import { createActivity } from '../engine/session-activity.ts';
import { createSessionEnds } from '../engine/session-revocation.ts';
import { loadTexts } from '../features/notices/texts/catalogue.ts';
import { createActions } from '../http/actions.ts';
import { createLimits } from '../http/limits/policy.ts';
import type { Services } from '../http/services.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Secrets } from '../kernel/crypto/secrets-file.ts';
import { KEY_REFRESH_S } from '../kernel/tokens/index.ts';
import { createServer, registerHttp } from './http.ts';
import { createWatchers, openEngine, openRelay } from './lifecycles.ts';
import { openCrypto } from './secrets.ts';
import { openStores } from './stores.ts';

export type App = { server: FastifyInstance; services: Services; relay: Relay; close(): Promise<void> };

export type AppOptions = {
  config: Config;
  /** Where Postgres is; migrated. */
  databaseUrl: string;
  /** What stands before it; nothing. */
  pooler?: Pooler;
  secrets: Secrets;
  clock: Clock;
  version: string;
  /** False in tools and tests that drain the outbox themselves. */
  startRelay?: boolean;
  /** Where log lines go instead of standard output. */
  logStream?: { write(line: string): void };
};

export async function buildApp(options: AppOptions): Promise<App> {
  const { config, secrets, clock, version } = options;
  const { languages } = loadTexts(config);
  const server = createServer(config, options.logStream);
  const log = server.log;
  const stores = await openStores(config, options.databaseUrl, log, options.pooler);
  const crypto = await openCrypto(config, secrets, clock, stores);
  const { db, redis } = stores;
  const limits = createLimits({
    store: redis ? redisLimitStore(redis, 'vestibule:limit:') : memoryLimitStore(),
    numbers: config.limits,
    hashKey: crypto.limitKey,
    clock,
    log,
  });
  const watchers = createWatchers({ config, clock, log, stores });
  const actions = createActions();
  let relay: Relay;
  const engine = openEngine({ config, log, stores, crypto, watchers, actions, relay: () => relay });

  const onCommit = () => relay.nudge();
  const adminToken = config.adminToken ?? (config.env === 'production' ? null : secrets.adminToken);
  const introspectionToken =
    config.introspectionToken ?? (config.env === 'production' ? null : secrets.introspectionToken);
  const services: Services = {
    ...stores,
    ...crypto,
    config,
    clock,
    log,
    engine,
    actions,
    limits,
    sessionEnds: createSessionEnds({ db, onCommit }),
    activity: createActivity({ touch: stores.sessions.touch, clock, log }),
    checkFactor: createFactorCheck({ db, rows: stores.factorRows, ...crypto, onCommit }),
    commitAccount: (edit, context) => commitAccount({ db, onCommit }, edit, context),
    languages,
    inbox: crypto.adapters.inbox,
    adminToken,
    proofKey: secrets.secretKey,
    introspectionToken,
    webhookSecrets: config.kyc.webhookSecrets.length ? config.kyc.webhookSecrets : [secrets.webhookSecret],
  };
  relay = openRelay(services, stores, watchers);
  await registerHttp(server, services, { stores, crypto, watchers, version });

  const keyRefresh = setInterval(() => {
    crypto.keys.refresh().catch((error) => log.warn({ reason: wordsOf(error) }, 'keys were not refreshed'));
  }, KEY_REFRESH_S * 1000);
  keyRefresh.unref();
  if (options.startRelay !== false) relay.start();

  return {
    server,
    services,
    relay,
    async close() {
      clearInterval(keyRefresh);
      await server.close();
      await services.activity.close();
      await relay.stop();
      await watchers.rollup?.stop();
      crypto.adapters.mail.close?.();
      await Promise.all(Object.values(crypto.adapters.brokers).map((broker) => broker.close?.()));
      await crypto.keeper.close();
      await crypto.hasher.close();
      await stores.close();
    },
  };
}
