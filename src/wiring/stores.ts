/** The stores: Postgres with one reader per aggregate, and Redis where there is one. */
import type { FastifyBaseLogger } from 'fastify';
import { createAccountStore } from '../../db/accounts.ts';
import { connectDatabase } from '../../db/client.ts';
import { createDeviceStore } from '../../db/devices.ts';
import { createFactorStore } from '../../db/factors.ts';
import { createFlowStatsStore } from '../../db/flow-stats.ts';
import { createFlowStore } from '../../db/flows.ts';
import { createIdempotencyStore } from '../../db/idempotency.ts';
import { createKycStore } from '../../db/kyc.ts';
import { createOutbox } from '../../db/outbox.ts';
import { createPasskeyLogins } from '../../db/passkey-logins.ts';
import { createPasswordLogins } from '../../db/password-logins.ts';
import type { Pooler } from '../../db/pooler.ts';
import { createRecipients } from '../../db/recipients.ts';
import { createRefreshStore } from '../../db/refresh.ts';
import { createSessionStore } from '../../db/sessions.ts';
import { createSigningKeys } from '../../db/signing-keys.ts';
import { createTradingAccountStore } from '../../db/trading-accounts.ts';
import { createTradingShareStore } from '../../db/trading-shares.ts';
import { createUserStore } from '../../db/users.ts';
import { CLUSTER, connectRedis } from '../adapters/redis.ts';
import { type Config, ConfigError } from '../config/index.ts';

export type Stores = Awaited<ReturnType<typeof openStores>>;

/** Connects lazily; waits two seconds at most for Redis, without which each control has its own mode. */
export async function openStores(
  config: Config,
  databaseUrl: string,
  log: FastifyBaseLogger,
  pooler: Pooler = config.database.pooler ?? 'none',
) {
  const db = connectDatabase({ url: databaseUrl, poolSize: config.database.poolSize, pooler });
  const redis = config.redis.url === null ? null : connectRedis(config.redis.url, { log });
  if (redis && (await redis.ready(2000)) && (await redis.isCluster())) {
    redis.close();
    await db.close();
    throw new ConfigError('REDIS_URL', `(or REDIS_HOST) ${CLUSTER}`);
  }
  return {
    db,
    redis,
    flows: createFlowStore(db),
    accounts: createAccountStore(db),
    users: createUserStore(db),
    devices: createDeviceStore(db),
    factorRows: createFactorStore(db),
    sessions: createSessionStore(db),
    refreshes: createRefreshStore(db),
    kyc: createKycStore(db),
    outbox: createOutbox(db),
    idempotency: createIdempotencyStore(db),
    passkeyLogins: createPasskeyLogins(db),
    passwordLogins: createPasswordLogins(db),
    recipients: createRecipients(db),
    tradingAccounts: createTradingAccountStore(db),
    tradingShares: createTradingShareStore(db),
    signingKeys: createSigningKeys(db),
    flowStats: createFlowStatsStore(db),
    async close() {
      redis?.close();
      await db.close();
    },
  };
}
