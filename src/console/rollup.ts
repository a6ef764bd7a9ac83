/**
 * Follows the steps and keeps the funnel's counts: a job in the background, in bounded batches, one replica at a time.
 * It must never hold up a delivery or a request, and counts each step once however often it is stopped.
 */

import type { CountedStep, EarlierStep, FlowStatsStore, StatCell } from '../../db/flow-stats.ts';
import { wordsOf } from '../../db/words.ts';
import { type MachineGraph, toGraph } from '../../machines/graph.ts';
import { type MachineId, registry } from '../../machines/index.ts';
import type { Clock } from '../kernel/clock.ts';
import { bucketOf, noStays } from './kit/histogram.ts';
import { idAt } from './live.ts';

/** A step's id is made just before its commit, which gives up after 5 s: older ids are all there. */
const MARGIN_MS = 8000;
const PAUSE_MS = 2000;
/** Batches one round may take before it lets others have the database. */
const ROUND = 5;

type Machine = {
  targets: Map<string, string | null>;
  ranks: Map<string, number>;
  milestones: { rank: number; state: string }[];
  ends: Set<string>;
};

function machineOf(graph: MachineGraph): Machine {
  const ranked = graph.nodes.flatMap((n) =>
    n.meta.milestone === undefined ? [] : [{ rank: n.meta.milestone, state: n.id }],
  );
  return {
    targets: new Map(graph.edges.map((e) => [e.key, e.target])),
    ranks: new Map(ranked.map(({ rank, state }) => [state, rank])),
    milestones: ranked.sort((a, b) => a.rank - b.rank),
    ends: new Set(graph.nodes.filter((n) => n.kind === 'final').map((n) => n.id)),
  };
}

const machines = new Map<string, Machine>(
  (Object.keys(registry) as MachineId[]).map((id) => [id, machineOf(toGraph(registry[id].machine))]),
);

/** States a step leads through, in order, the one it rests in last. */
const through = (machine: Machine, s: { edges: string[]; toState: string }): string[] => [
  ...s.edges.flatMap((key) => machine.targets.get(key) ?? []),
  s.toState,
];

const furthest = (machine: Machine, s: { edges: string[]; toState: string }): number =>
  Math.max(0, ...through(machine, s).map((state) => machine.ranks.get(state) ?? 0));

/** What a batch adds. `earlier` are the accepted steps before those of the batch, and may overlap with it. */
export function countSteps(steps: CountedStep[], earlier: EarlierStep[]): StatCell[] {
  const cells = new Map<string, StatCell>();
  const past = Map.groupBy(earlier, (s) => s.flowId);
  const cell = (s: CountedStep, state: string): StatCell => {
    const { machine, machineVersion, day } = s;
    const key = JSON.stringify([machine, machineVersion, day, state]);
    const known = cells.get(key);
    if (known) return known;
    const made = {
      machine,
      machineVersion,
      day,
      state,
      entered: 0,
      exited: 0,
      reached: 0,
      ended: 0,
      stays: noStays(),
    };
    cells.set(key, made);
    return made;
  };
  for (const s of steps) {
    const machine = machines.get(s.machine);
    if (s.refused || !machine) continue;
    const before = (past.get(s.flowId) ?? []).filter((p) => p.seq < s.seq);
    const had = Math.max(0, ...before.map((p) => furthest(machine, p)));
    const has = Math.max(had, furthest(machine, s));
    for (const { rank, state } of machine.milestones) if (rank > had && rank <= has) cell(s, state).reached++;
    if (s.fromState === s.toState && s.seq > 1) continue;
    if (s.enteredAt !== null) {
      const left = cell(s, s.fromState);
      left.exited++;
      const bucket = bucketOf(s.at - s.enteredAt);
      left.stays[bucket] = (left.stays[bucket] ?? 0) + 1;
    }
    cell(s, s.toState).entered++;
    const last = machine.milestones.filter(({ rank }) => rank <= has).at(-1);
    if (last && machine.ends.has(s.toState)) cell(s, last.state).ended++;
  }
  return [...cells.values()];
}

export type Rollup = {
  /** Called by the relay's sweep: starts a round unless one is under way or was just now. */
  kick(): void;
  /** Takes everything older than the margin; for tools and tests. */
  run(options?: { marginMs?: number; rounds?: number }): Promise<number>;
  stop(): Promise<void>;
};

export function createRollup(deps: {
  store: FlowStatsStore;
  clock: Clock;
  log: { warn(details: object, message: string): void };
}): Rollup {
  const { store, clock, log } = deps;
  // Ids carry the machine's own time, whatever offset a demo has given the clock.
  const realNow = () => clock.now() - clock.offset();
  let running: Promise<unknown> | null = null;
  let lastAt = 0;
  let stopped = false;

  async function run({ marginMs = MARGIN_MS, rounds = Number.POSITIVE_INFINITY } = {}): Promise<number> {
    let total = 0;
    for (let round = 0; round < rounds && !stopped; round++) {
      const taken = await store.take(idAt(realNow() - marginMs), new Date(realNow()), countSteps);
      total += taken ?? 0;
      if (!taken) break;
    }
    return total;
  }

  return {
    run,
    kick() {
      if (running || stopped || realNow() - lastAt < PAUSE_MS) return;
      lastAt = realNow();
      running = run({ rounds: ROUND })
        .catch((error: Error) => log.warn({ reason: wordsOf(error) }, 'the funnel was not counted'))
        .finally(() => {
          running = null;
        });
    },
    async stop() {
      stopped = true;
      await running;
    },
  };
}
