/** Runs the machines: read, ask, advance, commit, and decide again when overtaken. It decides nothing itself. */
import type { Database } from '../../db/client.ts';
import {
  type Changes,
  commit,
  type FlowRow,
  newChangeSet,
  type OutboxRow,
  requireActive,
} from '../../db/commit.ts';
import * as contacts from '../../db/contacts.ts';
import { isStale } from '../../db/driver/conflicts.ts';
import type { FlowStore, LoadedFlow, Locator } from '../../db/flows.ts';
import * as receipts from '../../db/receipts.ts';
import type { Runner } from '../../db/write/runner.ts';
import { type MachineEvents, type MachineId, registry } from '../../machines/index.ts';
import type { Keyring } from '../kernel/crypto/keyring.ts';
import { Problem } from '../kernel/problems.ts';
import { createAdmission } from './admission.ts';
import { type AccountRead, createAdvance, onlyAccount } from './advance.ts';
import { persistently } from './contention.ts';
import type { Result, SendContext } from './context.ts';
import type { EffectHandlers, Enclosures } from './effects.ts';
import { reservationOf, settled, unlessTakenOver } from './keyed-run.ts';
import { EventRefused, Rejection } from './refusals.ts';
import { createRepair } from './repair.ts';
import { createReplay } from './replay.ts';
import { createRevive } from './revive.ts';
import { type FlowView, viewOf } from './snapshots.ts';

export type Decision<M extends MachineId> = {
  event: MachineEvents[M];
  enclosures?: Enclosures;
  /** Other flows of the same account that take a step in the same commit, before this one. */
  also?: Also[];
};
/** A flow that was read, and what it is sent. */
export type Also = {
  [M in MachineId]: { machine: M; loaded: LoadedFlow; event: MachineEvents[M] };
}[MachineId];
export type Opening<M extends MachineId> = Decision<M> & {
  flowId: string;
  /** How long the opener's token lives. */
  tokenTtlMs: number;
  /** The account the first event concerns, as it was read. */
  account?: AccountRead & { id: string };
};
/** Tries under the row locks before the caller gets `conflict`, because other writers keep winning. */
const LOCKED_TRIES = 3;

const readingOf = ({ deviceId, envelope, now }: SendContext) => ({
  deviceId,
  network: envelope.network,
  now: new Date(now),
});

export type Engine = ReturnType<typeof createEngine>;
/** `leased`: outbox rows of the commit that are this process's to deliver. */
type Attempt = { result: Result; changes: Changes; leased: OutboxRow[] };

export function createEngine(deps: {
  db: Database;
  flows: FlowStore;
  handlers: EffectHandlers;
  keyring: Keyring;
  /** What a flow would accept, in the words of the API. */
  nextOf: (view: FlowView, now: number) => unknown[];
  /** Until when outbox rows written now are this process's own to deliver; null when any replica may deliver them. */
  lease?: () => Date | null;
  /** Called after a commit that left work for the relay or news for onlookers. */
  onCommit?: (changes: Changes, leased: OutboxRow[]) => void;
  onQuarantine?: (flowId: string, error: unknown) => void;
}) {
  const { db, flows, handlers, keyring } = deps;

  const refused = (view: FlowView, event: string, now: number) =>
    new EventRefused(view, event, deps.nextOf(view, now));
  const { advance, start } = createAdvance({ handlers, keyring, refused });
  const replay = createReplay({ db, flows });
  const revive = createRevive({
    flows,
    repair: createRepair({ db, handlers }),
    onQuarantine: deps.onQuarantine ?? (() => {}),
  });

  const begun = (context: SendContext): Changes =>
    newChangeSet(new Date(context.now), {
      lease: deps.lease?.() ?? null,
      reservation: reservationOf(context),
    });

  const admit = createAdmission({ flows, refused });

  /** Writes what was decided. */
  async function written(
    runner: Runner,
    changes: Changes,
    views: FlowView[],
    loaded: LoadedFlow | null,
  ): Promise<Attempt> {
    const { sessionsEnded, leased } = await commit(runner, changes);
    const [flow, ...opened] = views as [FlowView, ...FlowView[]];
    return { result: { flow, opened, loaded, sessionsEnded }, changes, leased };
  }

  /** Decides on what was just read and writes it. Throws VersionConflict when the rows have moved on by the time of the write. */
  async function attempt<M extends MachineId>(
    machineId: M,
    loaded: LoadedFlow,
    runner: Runner,
    decide: (loaded: LoadedFlow, view: FlowView) => Decision<M> | Promise<Decision<M>>,
    context: SendContext,
  ): Promise<Attempt> {
    const definition = registry[machineId];
    const restored = revive(definition, loaded, context);
    const view = viewOf(definition, loaded.flow as FlowRow, restored);
    const { event, enclosures = {}, also = [] } = await decide(loaded, view);
    const own = admit({ definition, loaded, view, restored, event, context });
    const { account } = loaded;
    const changes = begun(context);
    const work = { enclosures, context, changes, account: onlyAccount(account) };
    for (const other of also) {
      const its = registry[other.machine];
      const [row, snapshot] = [other.loaded.flow as FlowRow, revive(its, other.loaded, context)];
      const view = viewOf(its, row, snapshot);
      admit({ definition: its, loaded: other.loaded, view, restored: snapshot, event: other.event, context });
      advance(its, { row, snapshot, isNew: false }, other.event, { ...work, enclosures: {} });
    }
    const current = { row: loaded.flow as FlowRow, snapshot: restored, isNew: false };
    const views = advance(definition, current, event, work);
    const touched = account ? changes.accounts.get(account.id) : undefined;
    if (account && touched) touched.expectedStatus = account.status;
    else if (own) changes.rows.push(requireActive(own.id));
    if (enclosures.receiptId) changes.rows.push(receipts.take(enclosures.receiptId, changes.now));
    return written(runner, changes, views, loaded);
  }

  /** Tells of a commit once it is durable, and records a rejection once no lock is held. */
  async function concluded(attempting: Promise<Attempt>, context: SendContext): Promise<Result> {
    try {
      const { result, changes, leased } = await attempting;
      settled(context);
      deps.onCommit?.(changes, leased);
      return result;
    } catch (error) {
      if (!(error instanceof Rejection)) throw await unlessTakenOver(db, context, error);
      await error.record();
      throw error.problem;
    }
  }

  async function begin<M extends MachineId>(
    machineId: M,
    opening: Opening<M>,
    context: SendContext,
    runner: Runner,
  ): Promise<Attempt> {
    const changes = begun(context);
    const { contact } = opening.enclosures ?? {};
    if (contact) changes.before.push(contacts.intern(contact, changes.now));
    const views = start(
      registry[machineId],
      opening.flowId,
      opening.event,
      { enclosures: opening.enclosures ?? {}, context, changes, account: onlyAccount(opening.account) },
      opening.tokenTtlMs,
    );
    return written(runner, changes, views, null);
  }

  /** Reads a flow and looks at it; what `look` rejects is recorded like any other rejection. A repaired one is read again. */
  const readThen: typeof readOnce = (...asked) => persistently(LOCKED_TRIES, () => readOnce(...asked));

  async function readOnce(
    machineId: MachineId,
    locator: Locator,
    context: SendContext,
    look: (loaded: LoadedFlow, view: FlowView) => void = () => {},
  ) {
    const loaded = await flows.load(locator, readingOf(context));
    if (!loaded || loaded.flow.machine !== machineId) throw new Problem('not_found');
    const definition = registry[machineId];
    try {
      const view = viewOf(definition, loaded.flow as FlowRow, revive(definition, loaded, context));
      look(loaded, view);
      return { loaded, view };
    } catch (error) {
      if (!(error instanceof Rejection)) throw error;
      await error.record();
      throw error.problem;
    }
  }

  return {
    /** Starts a flow with its first event. */
    open: async <M extends MachineId>(
      machineId: M,
      opening: Opening<M>,
      context: SendContext,
    ): Promise<Result> =>
      (await replay(machineId, context)) ??
      persistently(LOCKED_TRIES, () => concluded(begin(machineId, opening, context, db.writes), context)),

    /**
     * Starts a flow on what `decide` reads of an account; when that has moved on, it runs again while the account's row
     * is locked, so that logins of one account queue up instead of failing each other.
     * @throws Problem conflict when it keeps moving
     */
    async openOn<M extends MachineId>(
      machineId: M,
      decide: () => Promise<Opening<M>>,
      context: SendContext,
    ): Promise<Result> {
      const known = await replay(machineId, context);
      if (known) return known;
      let account: string | undefined;
      const open = async (runner: Runner): Promise<Attempt> => {
        const opening = await decide();
        account = opening.account?.id;
        return begin(machineId, opening, context, runner);
      };
      try {
        return await concluded(open(db.writes), context);
      } catch (error) {
        if (!isStale(error)) throw error;
      }
      return persistently(LOCKED_TRIES, () =>
        concluded(
          db.transaction(async (tx, reads) => {
            if (account !== undefined) await flows.lockAccount(reads, account);
            return open(tx);
          }),
          context,
        ),
      );
    },

    /**
     * Sends one event to a flow. `decide` builds it from what was read and may run again on fresher rows.
     * The first try is optimistic (one read, one write); a lost race is decided again under the row locks.
     * @throws EventRefused, Problem not_found / account_blocked / flow_needs_restart
     */
    async send<M extends MachineId>(
      machineId: M,
      locator: Locator,
      decide: (loaded: LoadedFlow, view: FlowView) => Decision<M> | Promise<Decision<M>>,
      context: SendContext,
    ): Promise<Result> {
      const known = await replay(machineId, context);
      if (known) return known;
      const reading = readingOf(context);
      const loaded = await flows.load(locator, reading);
      if (!loaded || loaded.flow.machine !== machineId) throw new Problem('not_found');
      try {
        return await concluded(attempt(machineId, loaded, db.writes, decide, context), context);
      } catch (error) {
        if (!isStale(error)) throw error;
      }
      return persistently(LOCKED_TRIES, () =>
        concluded(
          db.transaction(async (tx, reads) => {
            const locked = await flows.lock(reads, loaded.flow.id, reading);
            if (!locked) throw new Problem('not_found');
            return attempt(machineId, locked, tx, decide, context);
          }),
          context,
        ),
      );
    },

    /** What an earlier run of a keyed request committed, else null; for routes that prove first: all sends ask for it. */
    replay,

    /** The flow as it rests, without sending anything. */
    read: (machineId: MachineId, locator: Locator, context: SendContext) =>
      readThen(machineId, locator, context),

    /**
     * The flow as it rests, if it takes the event: asked before slow work is done for one that would be refused.
     * `decide` builds the event as it does for `send`.
     * @throws EventRefused, Problem not_found / account_blocked / flow_needs_restart
     */
    ready: <M extends MachineId>(
      machineId: M,
      locator: Locator,
      decide: (loaded: LoadedFlow, view: FlowView) => MachineEvents[M],
      context: SendContext,
    ) =>
      readThen(machineId, locator, context, (loaded, view) => {
        const [definition, event] = [registry[machineId], decide(loaded, view)];
        admit({ definition, loaded, view, restored: view.snapshot, event, context });
      }),
  };
}

export type { Result, SendContext } from './context.ts';
export { EventRefused } from './refusals.ts';
