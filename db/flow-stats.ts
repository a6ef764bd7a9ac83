/** The funnel's counts: written in batches by one replica at a time, read by machine and start day. */
import type { TransactionSql } from 'postgres';
import type { Database } from './client.ts';
import { type Row, readReport } from './read-report.ts';

/** Beyond this many rows a batch would hold its transaction too long. */
export const BATCH = 2000;

export type CountedStep = {
  id: string;
  flowId: string;
  seq: number;
  machine: string;
  machineVersion: number;
  fromState: string;
  toState: string;
  edges: string[];
  refused: boolean;
  /** Milliseconds since the epoch. */
  at: number;
  /** When the flow entered `fromState`; null for its first step. */
  enteredAt: number | null;
  /** Day the flow started, UTC. */
  day: string;
};

export type EarlierStep = { flowId: string; seq: number; toState: string; edges: string[] };

export type StatCell = {
  machine: string;
  machineVersion: number;
  day: string;
  state: string;
  entered: number;
  exited: number;
  reached: number;
  ended: number;
  stays: number[];
};

const OPEN = `insert into flow_stats_cursor (name, step_id) values ('flow_stats', '00000000-0000-0000-0000-000000000000')
  on conflict do nothing`;
const HOLD = `select step_id from flow_stats_cursor where name = 'flow_stats' for no key update skip locked`;

/**
 * The first accepted step that changed the state tells since when the flow was in it. The flow is looked up per step: as
 * a join, a plan made on old statistics read every flow there is (32 ms at three thousand).
 */
const STEPS = `select s.id, s.flow_id as "flowId", s.seq, s.machine, s.machine_version as "machineVersion",
    s.from_state as "fromState", s.to_state as "toState", s.refused,
    to_jsonb(s.edges) as edges, (extract(epoch from s.at) * 1000)::float8 as at,
    (select to_char(f.created_at at time zone 'UTC', 'YYYY-MM-DD') from flows f where f.id = s.flow_id) as day,
    (select (extract(epoch from p.at) * 1000)::float8 from flow_steps p
      where p.flow_id = s.flow_id and not p.refused and p.seq < s.seq and p.from_state <> p.to_state
      order by p.seq desc limit 1) as "enteredAt"
  from flow_steps s
  where s.id > $1::uuid and s.id < $2::uuid order by s.id limit ${BATCH}`;

const EARLIER = `select p.flow_id as "flowId", p.seq, p.to_state as "toState", to_jsonb(p.edges) as edges
  from jsonb_to_recordset($1::text::jsonb) as b(f uuid, s int)
  join flow_steps p on p.flow_id = b.f and p.seq < b.s and not p.refused`;

const ADD = `insert into flow_stats as old (machine, machine_version, day, state, entered, exited, reached, ended, stays)
  select * from jsonb_to_recordset($1::text::jsonb)
    as t(machine text, "machineVersion" int, day date, state text, entered int, exited int, reached int, ended int, stays int[])
  order by machine, day, "machineVersion", state
  on conflict (machine, day, machine_version, state) do update set
    entered = old.entered + excluded.entered, exited = old.exited + excluded.exited,
    reached = old.reached + excluded.reached, ended = old.ended + excluded.ended,
    stays = (select array_agg(a + b order by i) from unnest(old.stays, excluded.stays) with ordinality as u(a, b, i))`;

const MOVE = `update flow_stats_cursor set step_id = $1::uuid, caught_up_at = coalesce($2::timestamptz, caught_up_at)
  where name = 'flow_stats'`;

const READ = `select machine, machine_version as "machineVersion", to_char(day, 'YYYY-MM-DD') as day, state, entered, exited,
    reached, ended, array_to_string(stays, ',') as stays
  from flow_stats where machine = $1 and day >= $2::date and ($3::int is null or machine_version = $3::int)`;

const TOTALS = `select machine, state, sum(entered - exited)::int as n from flow_stats group by machine, state`;

export type FlowStatsStore = ReturnType<typeof createFlowStatsStore>;

export function createFlowStatsStore(db: Database) {
  const rowsOf = async (tx: TransactionSql, text: string, params: unknown[]): Promise<Row[]> => [
    ...((await tx.unsafe(text, params as never[], { prepare: true })) as Row[]),
  ];

  return {
    /**
     * Takes the next batch of steps older than `before`, lets `count` turn it into cells and adds those, in one
     * transaction. How many were taken; null when another replica is at it.
     */
    async take(
      before: string,
      now: Date,
      count: (steps: CountedStep[], earlier: EarlierStep[]) => StatCell[],
    ): Promise<number | null> {
      await db.writes.unsafe(OPEN, [], { prepare: true });
      return db.report(async (tx) => {
        const [cursor] = await rowsOf(tx, HOLD, []);
        if (!cursor) return null;
        const steps = (await rowsOf(tx, STEPS, [cursor.step_id, before])) as CountedStep[];
        const last = steps.at(-1);
        const caughtUp = steps.length < BATCH ? now.toISOString() : null;
        if (last) {
          const earlier = (await rowsOf(tx, EARLIER, [JSON.stringify(spans(steps))])) as EarlierStep[];
          const cells = count(steps, earlier);
          if (cells.length) await rowsOf(tx, ADD, [JSON.stringify(cells)]);
        }
        await rowsOf(tx, MOVE, [last?.id ?? cursor.step_id, caughtUp]);
        return steps.length;
      });
    },

    /** Cells of a machine for flows that started on `since` or later. */
    async cells(machine: string, since: string, version: number | null): Promise<StatCell[]> {
      return (await readReport(db, READ, [machine, since, version])).map((r) => ({
        ...(r as StatCell),
        stays: (r.stays as string).split(',').map(Number),
      }));
    },

    /** Flows per `machine:state` as far as the job has counted. */
    async totals(): Promise<Map<string, number>> {
      const rows = await readReport(db, TOTALS);
      return new Map(rows.map((r) => [`${r.machine}:${r.state}`, Math.max(0, Number(r.n))]));
    },

    /** When the job last had nothing left to read; null before the first time. */
    async caughtUpAt(): Promise<Date | null> {
      const [row] = await readReport(
        db,
        "select caught_up_at from flow_stats_cursor where name = 'flow_stats'",
      );
      return row?.caught_up_at ? new Date(row.caught_up_at as string) : null;
    },
  };
}

/** Per flow, how far back its earlier steps matter. */
function spans(steps: CountedStep[]): { f: string; s: number }[] {
  const last = new Map<string, number>();
  for (const s of steps) if (!s.refused) last.set(s.flowId, Math.max(s.seq, last.get(s.flowId) ?? 0));
  return [...last].map(([f, s]) => ({ f, s }));
}
