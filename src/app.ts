/** Everything wired on one screen: stores, machines, ports, limits, routes. Listens to nothing, reads no environment. */
import cookie from '@fastify/cookie';
import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { createAccountStore } from '../db/accounts.ts';
import { connectDatabase } from '../db/client.ts';
import { createFlowStatsStore } from '../db/flow-stats.ts';
import { createFlowStore } from '../db/flows.ts';
import { createIdempotencyStore } from '../db/idempotency.ts';
import { createKycStore } from '../db/kyc.ts';

import { createOutbox } from '../db/outbox.ts';
import { createPasswordLogins } from '../db/password-logins.ts';
import { createRecipients } from '../db/recipients.ts';
import { createRefreshStore } from '../db/refresh.ts';
import { createSessionStore } from '../db/sessions.ts';
import { createSigningKeys } from '../db/signing-keys.ts';
import { createUserStore } from '../db/users.ts';
import { commitAccount } from './account-commit.ts';
import { createActivity } from './activity.ts';
import { createAdapters } from './adapters.ts';
import type { Clock } from './clock.ts';
import type { Config } from './config.ts';
import { consolePlugin } from './console/index.ts';
import { createLiveFeed } from './console/live.ts';
import { createRollup } from './console/rollup.ts';
import { nextActions } from './contracts/actions.ts';
import { createDeliveries } from './deliveries.ts';
import { createEffectHandlers } from './effects.ts';
import { createEngine } from './engine.ts';
import { createEventPublisher } from './events.ts';
import { createHasher } from './hashing/index.ts';
import { createInspectorFeed } from './inspector/feed.ts';
import { createKeyring } from './keyring.ts';
import { redisCapacity } from './limits/capacity.ts';
import { createLimits } from './limits/policy.ts';
import { memoryLimitStore, redisLimitStore } from './limits/store.ts';
import { loggerOf, RequestLog } from './log.ts';
import { createMailDelivery } from './mail/deliver.ts';
import { outageProblem } from './outage.ts';
import cors from './plugins/cors.ts';
import docs from './plugins/docs.ts';
import idempotency from './plugins/idempotency.ts';
import { inspectorBridge } from './plugins/inspector-bridge.ts';
import networkLimit from './plugins/limits.ts';
import openapi from './plugins/openapi.ts';
import problems from './plugins/problems.ts';
import securityHeaders from './plugins/security-headers.ts';
import { serverLimits } from './plugins/server-limits.ts';
import strictJson from './plugins/strict-json.ts';
import { createLocalKms } from './ports/kms-local.ts';
import { createSmsText } from './ports/sms-text.ts';
import { createProofs } from './proofs.ts';
import { createProviders } from './providers.ts';
import { connectRedis } from './redis.ts';
import { createRefresh } from './refresh.ts';
import { createRelay, type Relay } from './relay.ts';
import { rememberText } from './remembered-hash.ts';
import { routes } from './routes/index.ts';
import { durableWindows } from './rules.ts';
import type { Secrets } from './secrets-file.ts';
import type { Services } from './services.ts';
import { createSessionEnds } from './session-ends.ts';
import { createSweep } from './sweep.ts';
import { createKeyManager, createTokens, KEY_REFRESH_S } from './tokens/index.ts';
import { createKeyStore } from './tokens/key-store.ts';

export type App = { server: FastifyInstance; services: Services; relay: Relay; close(): Promise<void> };

export type AppOptions = {
  config: Config;
  /** Where Postgres is; migrated. */
  databaseUrl: string;
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
  const flags = { https: config.publicUrl.startsWith('https:'), demo: config.demo };
  const server = Fastify({
    ...serverLimits({
      trustProxy: config.trustProxy,
      https: config.publicUrl.startsWith('https:'),
      demo: config.demo,
    }),
    logger: loggerOf(config, options.logStream),
    logController: new RequestLog(),
  });
  const log = server.log;

  // Stores
  const db = connectDatabase({ url: options.databaseUrl, poolSize: config.database.poolSize });
  const redis = config.redis.url === null ? null : connectRedis(config.redis.url, { log });
  if (redis) await redis.ready(2000);
  const flows = createFlowStore(db);
  const accounts = createAccountStore(db);
  const users = createUserStore(db);
  const sessions = createSessionStore(db);
  const kyc = createKycStore(db);
  const outbox = createOutbox(db);
  const idempotencyStore = createIdempotencyStore(db);

  // Secrets and proofs
  const keyring = createKeyring(secrets.masterKey);
  const limitKey = (text: string) => keyring.lookupHash('limit', text);
  const kms = createLocalKms({ keys: [{ id: 'local:1', key: keyring.key('kek') }], activeId: 'local:1' });
  const keys = await createKeyManager({
    store: createKeyStore(createSigningKeys(db)),
    kms,
    alg: config.jwt.alg,
    ...(config.jwt.privateKeyPem === null ? {} : { configuredPem: config.jwt.privateKeyPem }),
    clock,
  });
  const tokens = createTokens({ ...config.jwt, keys: () => keys.keys(), clock });
  const hasher = createHasher({
    threads: config.hash.threads,
    queueLimit: config.hash.queue,
    params: {
      memoryCost: config.hash.memoryKib,
      timeCost: config.hash.iterations,
      parallelism: config.hash.parallelism,
    },
    pepper: secrets.passwordPepper,
  });
  const adapters = createAdapters(config, clock);
  const windows = durableWindows(config);
  const proofs = createProofs({
    keyring,
    rules: {
      demo: config.demo,
      codeTtlMs: config.code.ttlS * 1000,
      mailCodeTtlMs: config.code.emailTtlS * 1000,
      codeAttempts: config.code.attempts,
      openAttempts: config.code.attempts,
      lockMs: config.demo ? 60_000 : 3_600_000,
      stepUpAttempts: config.code.secondFactorAttempts,
      stepUpTtlMs: config.flow.challengeTtlS * 1000,
      ...windows,
      risk: adapters.riskRules,
      externalRisk: adapters.risk !== null,
    },
  });
  const capacity = redis ? redisCapacity(redis, 'vestibule:capacity:') : null;
  const limits = createLimits({
    store: redis && capacity ? redisLimitStore(redis, 'vestibule:limit:', capacity) : memoryLimitStore(),
    numbers: config.limits,
    hashKey: limitKey,
    clock,
    log,
  });

  // Machines at work
  const handlers = createEffectHandlers({
    keyring,
    rules: {
      sessionIdleMs: config.session.idleTtlS * 1000,
      sessionAbsoluteMs: config.session.absoluteTtlS * 1000,
      sessionMax: config.session.maxPerUser,
      ...windows,
    },
  });
  const feed = config.console.enabled ? createLiveFeed(clock) : null;
  const inspector = config.console.enabled && config.env !== 'production' ? createInspectorFeed() : null;
  const stats = createFlowStatsStore(db);
  const rollup = config.console.enabled ? createRollup({ store: stats, clock, log }) : null;
  const engine = createEngine({
    db,
    flows,
    handlers,
    keyring,
    nextOf: nextActions,
    onCommit: (_views, changes) => {
      if (changes.outbox.length) relay.nudge();
      feed?.committed(changes.steps);
      inspector?.committed(changes.steps);
    },
    onQuarantine: (flowId, error) => log.error({ flowId, err: error }, 'a snapshot does not parse'),
  });
  const providers = createProviders({ db, engine, kyc, proofs, clock });
  const sweep = createSweep({
    flows,
    users,
    engine,
    clock,
    log,
    forget: (now) => idempotencyStore.deleteExpired(now),
  });
  const relay = createRelay({
    outbox,
    clock,
    log,
    sweep: async () => {
      rollup?.kick();
      await sweep();
    },
    handlers: createDeliveries({
      db,
      flows,
      engine,
      kyc,
      proofs,
      providers,
      clock,
      kms,
      sms: adapters.sms,
      smsText: createSmsText({ domain: new URL(config.publicUrl).hostname }),
      mail: createMailDelivery({
        recipients: createRecipients(db),
        flows,
        mail: adapters.mail,
        limits,
        proofs,
        keyring,
        clock,
        log,
        settings: {
          appName: config.appName,
          frontendUrl: config.frontendUrl,
          codeTtlS: config.code.emailTtlS,
          resetTtlS: config.password.resetTtlS,
        },
      }),
      kycPort: adapters.kyc,
      risk: adapters.risk,
      riskRules: adapters.riskRules,
      demo: config.demo,
      publish: createEventPublisher(redis),
    }),
  });

  // Sessions
  const sessionEnds = createSessionEnds({ db, onCommit: () => relay.nudge() });
  const activity = createActivity({ touch: sessions.touch, clock, log });
  const refresh = createRefresh({
    store: createRefreshStore(db),
    ends: sessionEnds,
    tokens,
    limits,
    keyring,
    rules: { idleMs: config.session.idleTtlS * 1000, graceMs: config.session.refreshGraceS * 1000 },
  });

  const adminToken = config.bootstrapAdmin.token ?? (config.env === 'production' ? null : secrets.adminToken);
  const services: Services = {
    config,
    clock,
    db,
    redis,
    engine,
    flows,
    accounts,
    users,
    commitAccount: (edit, context) => commitAccount({ db, onCommit: () => relay.nudge() }, edit, context),
    sessions,
    sessionEnds,
    activity,
    refresh,
    kyc,
    outbox,
    limits,
    keyring,
    keys,
    tokens,
    hasher,
    kms,
    proofs,
    passwordLogins: createPasswordLogins(db),
    windows,
    providers,
    inbox: adapters.inbox,
    adminToken,
    proofKey: secrets.secretKey,
    introspectionTokens: [config.introspectionToken, adminToken].filter((one) => one !== null),
    webhookSecrets: config.kyc.webhookSecrets.length ? config.kyc.webhookSecrets : [secrets.webhookSecret],
  };

  // HTTP
  server.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
  await server.register(securityHeaders, flags);
  await server.register(openapi, { version });
  await server.register(problems, { classify: outageProblem });
  await server.register(cors, config.cors);
  await server.register(cookie);
  await server.register(strictJson);
  await server.register(networkLimit, {
    window: config.limits.network,
    // Addresses come again and again; phone numbers and e-mail addresses are not kept in memory.
    hashKey: rememberText(limitKey),
    clock,
    reports: limits.reports,
    ...(capacity ? { shared: capacity } : {}),
  });
  await server.register(idempotency, {
    store: idempotencyStore,
    kms,
    key: keyring.key('idempotency'),
    clock,
  });
  if (config.docs.enabled) await server.register(docs);
  await server.register(routes(services, version));
  if (feed) await server.register(consolePlugin(services, feed, stats));
  if (inspector) await server.register(inspectorBridge(inspector, config.console.inspectUrl));

  const keyRefresh = setInterval(() => {
    keys
      .refresh()
      .catch((error) => log.warn({ reason: (error as Error).message }, 'keys were not refreshed'));
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
      await activity.close();
      await relay.stop();
      await rollup?.stop();
      adapters.mail.close?.();
      await hasher.close();
      redis?.close();
      await db.close();
    },
  };
}
