/** Delivers the outbox and fires due timers, at least once each. The only caller of ports; it decides nothing. */

import { setTimeout as delay } from 'node:timers/promises';
import type { OutboxRow } from '../../db/commit.ts';
import type { Outbox, OutboxItem } from '../../db/outbox.ts';
import { wordsOf } from '../../db/words.ts';
import type { Clock } from '../kernel/clock.ts';
import { createDelivery, type RelayLog, type TopicHandler } from './delivery.ts';

export type Relay = {
  start(): void;
  /** Work may be waiting: look now instead of at the next tick. Does nothing before `start`: then only `drain` delivers. */
  nudge(): void;
  /** Until when rows written now may be leased by the writer, who then hands them to `accept`; null while they may not. */
  lease(): Date | null;
  /** Rows that a commit of this process has leased as it wrote them: delivered at once, without a claim. */
  accept(rows: OutboxRow[]): void;
  /** Delivers what is due, until nothing is; for tests and tools. */
  drain(): Promise<void>;
  /** Stops claiming and waits for what is under way. */
  stop(): Promise<void>;
};

const BATCH = 50;
const TICK_MS = 500;
/** A delivery slower than this no longer keeps others waiting. */
const PATIENCE_MS = 100;
/** In the background a round gathers rows for this long first, so that a claim is paid for by many of them. */
const GATHER_MS = 10;
/** Longer than any port takes; after a crash others take over this late. */
const LEASE_MS = 15_000;
/** With so much under way, rows are better left to any replica that has room. */
const MAX_LEASED = 200;

/** As a claim would have read it. */
const itemOf = ({ id, topic, accountId, accountSeq, flowId, payload, createdAt }: OutboxRow): OutboxItem => ({
  id,
  topic,
  accountId: accountId ?? null,
  accountSeq: accountSeq ?? null,
  flowId: flowId ?? null,
  payload,
  attempts: 1,
  createdAt,
});

export function createRelay(deps: {
  outbox: Outbox;
  clock: Clock;
  handlers: Record<string, TopicHandler>;
  /** Fires due timers; called every tick. */
  sweep: () => Promise<void>;
  log: RelayLog;
}): Relay {
  const { outbox, clock, sweep, log } = deps;
  const delivery = createDelivery(deps);
  /** Under way: what was claimed, and what came with a lease of its own. */
  const claimed = new Set<Promise<void>>();
  const leased = new Set<Promise<void>>();
  let timer: NodeJS.Timeout | null = null;
  let running: Promise<void> | null = null;
  let sweeping: Promise<void> | null = null;
  let again = false;
  let stopped = false;

  const now = () => new Date(clock.now());

  /** What could not be written down is delivered again when its lease ends. */
  function follow(work: Promise<void>, { id }: OutboxItem, among: Set<Promise<void>>): void {
    const followed = work
      .catch((error) => log.error({ id, reason: wordsOf(error) }, 'outcome not stored'))
      .finally(() => among.delete(followed));
    among.add(followed);
  }

  async function run(gathers: boolean): Promise<void> {
    do {
      again = false;
      while (!stopped) {
        if (gathers) await delay(GATHER_MS);
        const room = BATCH - claimed.size;
        const items = room > 0 ? await outbox.claim(now(), room) : [];
        for (const item of items) follow(delivery.one(item), item, claimed);
        if (claimed.size === 0) break;
        const timeout = new AbortController();
        await Promise.race([
          Promise.all(claimed),
          delay(PATIENCE_MS, undefined, { signal: timeout.signal }).catch(() => {}),
        ]);
        timeout.abort();
      }
    } while (again && !stopped);
    await Promise.all(claimed);
  }

  /** The database may be away: the next tick tries again. */
  const failed = (error: unknown) => log.error({ reason: wordsOf(error) }, 'relay round failed');

  function once(gathers: boolean): Promise<void> {
    if (running) {
      again = true;
      return running;
    }
    running = run(gathers)
      .catch(failed)
      .finally(() => {
        running = null;
      });
    return running;
  }

  function sweepOnce(): Promise<void> {
    sweeping ??= sweep()
      .catch(failed)
      .finally(() => {
        sweeping = null;
      });
    return sweeping;
  }

  const tick = () => {
    if (stopped) return;
    void sweepOnce();
    void once(true);
  };

  return {
    start() {
      timer = setInterval(tick, TICK_MS);
      timer.unref();
      tick();
    },
    lease: () => (timer && !stopped && leased.size < MAX_LEASED ? new Date(clock.now() + LEASE_MS) : null),
    accept(rows) {
      const items = rows.map((row) => itemOf(row));
      for (const item of items.filter(({ accountId }) => accountId === null))
        follow(delivery.one(item), item, leased);
      const ordered = items.filter(({ accountId }) => accountId !== null);
      if (ordered[0]) follow(delivery.inOrder(ordered), ordered[0], leased);
    },
    nudge: () => {
      if (timer && !stopped) void once(true);
    },
    async drain() {
      await sweepOnce();
      await once(false);
    },
    async stop() {
      stopped = true;
      if (timer) clearInterval(timer);
      await Promise.all([running, sweeping]);
      await Promise.all([...claimed, ...leased]);
    },
  };
}
