/** The machines at work: the engine with its effects, the relay with the slices' deliveries, and what watches commits. */
import type { FastifyBaseLogger } from 'fastify';
import { forgetUnowned } from '../../db/contacts.ts';
import { purgeEnded } from '../../db/retention.ts';
import * as throttles from '../../db/throttles.ts';
import type { Config } from '../config/index.ts';
import { createInspectorFeed } from '../console/inspector/feed.ts';
import { createLiveFeed } from '../console/live.ts';
import { createRollup } from '../console/rollup.ts';
import { createEngine } from '../engine/engine.ts';
import { eventDelivery } from '../engine/events.ts';
import { createRelay, type Relay } from '../engine/relay.ts';
import { createSweep } from '../engine/sweep.ts';
import type { Actions } from '../http/actions.ts';
import type { Services } from '../http/services.ts';
import type { Clock } from '../kernel/clock.ts';
import { deliveries, effectHandlers } from './features.ts';
import type { Crypto } from './secrets.ts';
import type { Stores } from './stores.ts';

/** Addresses erased per run of the sweep, once a minute. */
const FORGET_BATCH = 500;

export type Watchers = ReturnType<typeof createWatchers>;

/** The console's event stream, the inspector's and the console's counts; null where there is no console. */
export function createWatchers(deps: {
  config: Config;
  clock: Clock;
  log: FastifyBaseLogger;
  stores: Stores;
}) {
  const { config, clock, log, stores } = deps;
  const watched = config.console.enabled;
  return {
    feed: watched ? createLiveFeed(clock) : null,
    inspector: watched && config.env !== 'production' ? createInspectorFeed() : null,
    rollup: watched ? createRollup({ store: stores.flowStats, clock, log }) : null,
  };
}

export function openEngine(deps: {
  config: Config;
  log: FastifyBaseLogger;
  stores: Stores;
  crypto: Crypto;
  watchers: Watchers;
  actions: Actions;
  /** The relay comes later: its deliveries send events through this engine. */
  relay: () => Relay;
}) {
  const { config, log, stores, crypto, watchers, actions, relay } = deps;
  const { keyring, windows } = crypto;
  return createEngine({
    db: stores.db,
    flows: stores.flows,
    handlers: effectHandlers({
      keyring,
      rules: {
        sessionIdleMs: config.session.idleTtlS * 1000,
        sessionAbsoluteMs: config.session.absoluteTtlS * 1000,
        sessionMax: config.session.maxPerUser,
        ...windows,
      },
    }),
    keyring,
    nextOf: actions.next,
    lease: () => relay().lease(),
    onCommit: (changes, leased) => {
      relay().accept(leased);
      if (changes.unlisted || changes.outbox.length > leased.length) relay().nudge();
      watchers.feed?.committed(changes.steps);
      watchers.inspector?.committed(changes.steps);
    },
    onQuarantine: (flowId, error) => log.error({ flowId, err: error }, 'a snapshot does not parse'),
  });
}

export function openRelay(services: Services, stores: Stores, { rollup }: Watchers): Relay {
  const { config, db, flows, users, engine, clock, log, outbox, redis } = services;
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
  return createRelay({
    outbox,
    clock,
    log,
    sweep: async () => {
      rollup?.kick();
      await sweep();
    },
    handlers: { ...deliveries(services), event: eventDelivery(redis) },
  });
}
