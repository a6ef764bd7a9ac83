/** What time does by itself: EXPIRE for flows whose timer has passed, erasure of accounts and addresses given up long ago. */

import type { FlowStore } from '../../db/flows.ts';
import type { UserStore } from '../../db/users.ts';
import { wordsOf } from '../../db/words.ts';
import type { MachineId } from '../../machines/index.ts';
import type { Clock } from '../kernel/clock.ts';
import type { RelayLog } from './delivery.ts';
import { type Engine, EventRefused } from './engine.ts';
import { systemEnvelope } from './records.ts';
import { ERASURE_DELAY_MS, UNOWNED_CONTACT_MS } from './retention.ts';

/** Erasure is looked for this often; a day's delay in a month would not matter either. */
const ERASURE_EVERY_MS = 60_000;

const SWEEP_BATCH = 100;

export function createSweep(deps: {
  flows: FlowStore;
  users: UserStore;
  engine: Engine;
  clock: Clock;
  log: RelayLog;
  /** Deletes what has been kept for its time: stored answers, failure counters, records of what has ended. */
  purgeExpired: (now: Date) => Promise<void>;
  /** Erases a number of contacts that nobody has owned or named since. */
  forgetContacts: (until: Date) => Promise<void>;
}) {
  const { flows, users, engine, clock, log } = deps;
  let erasureDueAt = 0;

  /** Expiry of one flow must not block the others. */
  async function expire({ id, machine }: { id: string; machine: string }): Promise<void> {
    const now = clock.now();
    const context = { now, envelope: systemEnvelope('system'), deviceId: null };
    try {
      await engine.send(machine as MachineId, { id }, () => ({ event: { type: 'EXPIRE', now } }), context);
    } catch (error) {
      if (!(error instanceof EventRefused))
        log.error({ flowId: id, reason: wordsOf(error) }, 'a due flow was not expired');
    }
  }

  async function fireTimers(): Promise<void> {
    for (;;) {
      const due = await flows.claimDue(new Date(clock.now()), SWEEP_BATCH);
      await Promise.all(due.map(expire));
      if (due.length < SWEEP_BATCH) return;
    }
  }

  /** Erasure of one account must not block the others, nor what is purged after them. */
  async function erase(accountId: string): Promise<void> {
    try {
      await users.erase(accountId);
    } catch (error) {
      log.error({ accountId, reason: wordsOf(error) }, 'a deleted account was not erased');
    }
  }

  async function eraseDeleted(): Promise<void> {
    if (clock.now() < erasureDueAt) return;
    erasureDueAt = clock.now() + ERASURE_EVERY_MS;
    for (const id of await users.toErase(new Date(clock.now() - ERASURE_DELAY_MS))) await erase(id);
    await deps.forgetContacts(new Date(clock.now() - UNOWNED_CONTACT_MS));
    await deps.purgeExpired(new Date(clock.now()));
  }

  return async (): Promise<void> => {
    await fireTimers();
    await eraseDeleted();
  };
}
