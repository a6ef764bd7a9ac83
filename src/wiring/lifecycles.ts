/** The machines at work: engine, relay and sweeper around the effects they name, and whoever watches their commits. */
import type { FastifyBaseLogger } from 'fastify';
import { forgetUnowned } from '../../db/contacts.ts';
import { purgeEnded } from '../../db/retention.ts';
import * as throttles from '../../db/throttles.ts';
import type { Config } from '../config/index.ts';
import { createInspectorFeed } from '../console/inspector/feed.ts';
import { createLiveFeed } from '../console/live.ts';
import { createRollup } from '../console/rollup.ts';
import { createEffectHandlers } from '../engine/effects.ts';
import { createEngine } from '../engine/engine.ts';
import { createEventPublisher } from '../engine/events.ts';
import { createRelay } from '../engine/relay.ts';
import { createSweep } from '../engine/sweep.ts';
import { createProviders } from '../features/kyc/verdicts.ts';
import { createMailDelivery } from '../features/notices/deliver-mail.ts';
import { createDeliveries } from '../features/notices/deliveries.ts';
import { createSmsNotices } from '../features/notices/sms-notice.ts';
import { createSmsNotice, createSmsText } from '../features/notices/sms-text.ts';
import { nextActions } from '../http/actions.ts';
import type { Limits } from '../http/limits/policy.ts';
import { phoneReader } from '../http/request-context.ts';
import type { Clock } from '../kernel/clock.ts';
import type { Crypto } from './secrets.ts';
import type { Stores } from './stores.ts';

/** Addresses erased per run of the sweep, once a minute. */
const FORGET_BATCH = 500;

export type Lifecycles = ReturnType<typeof createLifecycles>;

export function createLifecycles(deps: {
  config: Config;
  clock: Clock;
  log: FastifyBaseLogger;
  stores: Stores;
  crypto: Crypto;
  limits: Limits;
}) {
  const { config, clock, log, stores, crypto, limits } = deps;
  const { db, flows, users, kyc, outbox } = stores;
  const { keyring, kms, proofs, adapters, windows } = crypto;
  const watched = config.console.enabled;
  const feed = watched ? createLiveFeed(clock) : null;
  const inspector = watched && config.env !== 'production' ? createInspectorFeed() : null;
  const rollup = watched ? createRollup({ store: stores.flowStats, clock, log }) : null;

  const engine = createEngine({
    db,
    flows,
    handlers: createEffectHandlers({
      keyring,
      rules: {
        sessionIdleMs: config.session.idleTtlS * 1000,
        sessionAbsoluteMs: config.session.absoluteTtlS * 1000,
        sessionMax: config.session.maxPerUser,
        ...windows,
      },
    }),
    keyring,
    nextOf: nextActions,
    lease: () => relay.lease(),
    onCommit: (changes, leased) => {
      relay.accept(leased);
      if (changes.unlisted || changes.outbox.length > leased.length) relay.nudge();
      feed?.committed(changes.steps);
      inspector?.committed(changes.steps);
    },
    onQuarantine: (flowId, error) => log.error({ flowId, err: error }, 'a snapshot does not parse'),
  });
  const providers = createProviders({ db, engine, kyc, proofs, clock });
  const mail = createMailDelivery({
    recipients: stores.recipients,
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
      resetTtlS: config.password.resetTtlS,
    },
  });
  const domain = new URL(config.publicUrl).hostname;
  const smsNotice = createSmsNotices({
    db,
    limits,
    sms: adapters.sms,
    text: createSmsNotice({ domain }),
    capsOf: phoneReader(config),
  });
  const purgeExpired = async (now: Date) => {
    await stores.idempotency.deleteExpired(now);
    await throttles.deleteExpired(db, now);
    const before = (days: number) => new Date(now.getTime() - days * 86_400_000);
    const { retention } = config;
    await purgeEnded(db, {
      outbox: before(retention.outboxDays),
      webhookReceipts: before(retention.webhookReceiptDays),
      flows: before(retention.flowDays),
      sessions: before(retention.sessionDays),
    });
  };
  const forgetContacts = (until: Date) => forgetUnowned(db, until, FORGET_BATCH);
  const sweep = createSweep({ flows, users, engine, clock, log, purgeExpired, forgetContacts });
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
      smsText: createSmsText({ domain }),
      smsNotice,
      mail,
      kycPort: adapters.kyc,
      risk: adapters.risk,
      riskRules: adapters.riskRules,
      demo: config.demo,
      publish: createEventPublisher(stores.redis),
    }),
  });
  return { engine, providers, relay, feed, inspector, rollup };
}
