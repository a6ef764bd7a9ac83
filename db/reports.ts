/** Lists and counts of flows, steps and messages. Only reads, each bounded by an index and a limit, none in the way of a request. */

import type { Database } from './client.ts';
import { asc, gt, sql } from './driver/drizzle.ts';
import { type Row, readReport } from './read-report.ts';
import { flowSteps } from './schema.ts';

/** Rows beyond this are "and more": a page must not cost more on a large database. */
export const CAP = 1000;

/** Bounded per state: enough for a small installation to be exact. */
const COUNT_CAP = 500;

const TIMER_GRACE_MS = 5000;

export type Health = {
  database: boolean;
  outboxPending: number;
  outboxOldestMs: number;
  outboxDead: number;
  timersDue: number;
  timersLateMs: number;
};

export const NO_HEALTH: Health = {
  database: false,
  outboxPending: 0,
  outboxOldestMs: 0,
  outboxDead: 0,
  timersDue: 0,
  timersLateMs: 0,
};

/** Every order asks for its partial index, also in the plan Postgres keeps for any parameters. */
const HEALTH = `select
  (select count(*) from (select 1 from outbox where status = 'pending' and due_at <= $1::timestamptz order by due_at limit ${CAP}) p) as pending,
  (select due_at from outbox where status = 'pending' order by due_at limit 1) as oldest,
  (select count(*) from (select 1 from outbox where status = 'dead' limit ${CAP}) d) as dead,
  (select count(*) from (select 1 from flows where status = 'active' and next_due_at <= $1::timestamptz
    order by next_due_at limit ${CAP}) t) as timers,
  (select next_due_at from flows where status = 'active' and next_due_at is not null order by next_due_at limit 1) as timer`;

export type FlowFilter = {
  /** Which states, and since when at the latest a flow rests there: the filter on age and on a state's budget. */
  pairs: { machine: string; state: string; before: Date | null }[];
  /** Beside the pairs: flows with a timer that did not fire or with a dead message. */
  stuck: { machine: string; state: string }[] | null;
  stateEnteredBefore: { at: Date; id: string } | null;
  /** Digits of a flow or account id from the left. */
  idPrefix: string | null;
  limit: number;
};

export type FlowItem = {
  id: string;
  machine: string;
  machineVersion: number;
  version: number;
  state: string;
  status: string;
  accountId: string | null;
  createdAt: Date;
  stateEnteredAt: Date;
  nextDueAt: Date | null;
  deadMessages: boolean;
};

const ITEM = `f.id, f.machine, f.machine_version, f.version, f.state, f.status, f.account_id, f.created_at,
  f.state_entered_at, f.next_due_at`;
const BEFORE = '(f.state_entered_at, f.id) < ($2::timestamptz, $3::uuid)';

/** One index range per state, newest first, merged: never more than states × limit rows, whatever the table holds. */
const LIST = `with pairs as (select * from jsonb_to_recordset($1::text::jsonb) as t(machine text, state text, before timestamptz)),
  found as (select f.* from pairs p cross join lateral (
    select ${ITEM} from flows f where f.machine = p.machine and f.state = p.state and f.status <> 'archived'
      and f.state_entered_at <= coalesce(p.before, 'infinity') and ${BEFORE}
    order by f.state_entered_at desc, f.id desc limit $4::int) f)`;

const STUCK = `, more as (
    (select id from flows where status = 'active' and next_due_at < $6::timestamptz order by next_due_at limit ${CAP})
    union (select flow_id from outbox where status = 'dead' and flow_id is not null limit ${CAP})),
  every as (select * from jsonb_to_recordset($5::text::jsonb) as t(machine text, state text)),
  merged as (select * from found union
    select ${ITEM} from more join flows f using (id) join every e on e.machine = f.machine and e.state = f.state
    where f.status <> 'archived' and ${BEFORE})`;

const END = (from: string) => `
  select f.*, exists (select 1 from outbox o where o.flow_id = f.id and o.status = 'dead') as dead
  from (select * from ${from} order by state_entered_at desc, id desc limit $4::int) f
  order by f.state_entered_at desc, f.id desc`;

/** By the digits of an id: a range of the primary key, or the flows of one account. */
const BY_ID = `with found as (
    (select ${ITEM} from flows f where f.id between $1::uuid and $2::uuid order by f.id limit $3::int)
    union
    (select ${ITEM} from flows f where f.account_id between $1::uuid and $2::uuid order by f.account_id limit $3::int))
  select f.*, exists (select 1 from outbox o where o.flow_id = f.id and o.status = 'dead') as dead
  from found f order by f.state_entered_at desc, f.id desc limit $3::int`;

/** The order asks for the index: without it the planner reads the whole table for a state nobody is in. */
const COUNTS = `select p.machine, p.state, (select count(*) from (
    select 1 from flows f where f.machine = p.machine and f.state = p.state and f.status <> 'archived'
    order by f.state_entered_at limit ${COUNT_CAP}) c) as n
  from jsonb_to_recordset($1::text::jsonb) as p(machine text, state text)`;

const FLOW = `select ${ITEM}, f.purpose,
    exists (select 1 from outbox o where o.flow_id = f.id and o.status = 'dead') as dead
  from flows f where f.id = $1::uuid`;

const STEPS = `select s.id, s.flow_id as "flowId", s.seq, s.machine, s.machine_version as "machineVersion", s.at, s.event,
    to_jsonb(s.edges) as edges, s.from_state as "fromState", s.to_state as "toState", s.refused, s.reason, s.actor,
    s.request_id as "requestId", s.context
  from flow_steps s
  where s.flow_id = $1::uuid and s.id < $2::uuid order by s.id desc limit $3::int`;
const PATH = `select to_jsonb(s.edges) as edges, s.to_state as "toState" from flow_steps s
  where s.flow_id = $1::uuid and not s.refused order by s.id desc limit 500`;
/** Ids begin with their flow's: an index of their own would cost every commit four entries, two of them for a delivery. */
const OUTBOX = `select id, topic, status, attempts, due_at as "dueAt", created_at as "createdAt", done_at as "doneAt",
    last_error as "lastError"
  from outbox
  where id > $1::text || ':' and id < $1::text || ';' order by created_at desc, id desc limit 20`;

export type Step = {
  id: string;
  flowId: string;
  seq: number;
  machine: string;
  machineVersion: number;
  at: Date;
  event: string;
  edges: string[];
  fromState: string;
  toState: string;
  refused: boolean;
  reason: string | null;
  actor: string;
  requestId: string | null;
  context: Record<string, unknown> | null;
};

export type OutboxEntry = {
  id: string;
  topic: string;
  status: string;
  attempts: number;
  dueAt: Date;
  createdAt: Date;
  doneAt: Date | null;
  lastError: string | null;
};

const LAST_ID = 'ffffffff-ffff-ffff-ffff-ffffffffffff';
const at = (value: unknown): Date => new Date(value as string);
const maybeAt = (value: unknown): Date | null => (value === null ? null : at(value));

const itemOf = (r: Row): FlowItem => ({
  id: r.id as string,
  machine: r.machine as string,
  machineVersion: r.machine_version as number,
  version: r.version as number,
  state: r.state as string,
  status: r.status as string,
  accountId: r.account_id as string | null,
  createdAt: at(r.created_at),
  stateEnteredAt: at(r.state_entered_at),
  nextDueAt: maybeAt(r.next_due_at),
  deadMessages: r.dead === true,
});

export type ReportStore = ReturnType<typeof createReportStore>;

export function createReportStore(db: Database) {
  const run = (text: string, params: unknown[]) => readReport(db, text, params);
  const news = db.reads
    .select()
    .from(flowSteps)
    .where(gt(flowSteps.id, sql.placeholder('after')))
    .orderBy(asc(flowSteps.id))
    .limit(sql.placeholder('limit'))
    .prepare('steps_after');

  return {
    async health(now: Date): Promise<Health> {
      const [row] = await run(HEALTH, [now.toISOString()]);
      const late = (value: unknown) =>
        value === null ? 0 : Math.max(0, now.getTime() - at(value).getTime());
      return {
        database: true,
        outboxPending: Number(row?.pending),
        outboxOldestMs: late(row?.oldest ?? null),
        outboxDead: Number(row?.dead),
        timersDue: Number(row?.timers),
        timersLateMs: late(row?.timer ?? null),
      };
    },

    /** Flows by when they entered their state, newest first; one more than `limit` tells that there are more. */
    async list(filter: FlowFilter, now: Date): Promise<FlowItem[]> {
      const { pairs, stuck, stateEnteredBefore: cursor, idPrefix, limit } = filter;
      if (idPrefix !== null) {
        const [low, high] = idRange(idPrefix);
        return (await run(BY_ID, [low, high, limit])).map(itemOf);
      }
      const params: unknown[] = [
        JSON.stringify(pairs),
        cursor?.at.toISOString() ?? 'infinity',
        cursor?.id ?? LAST_ID,
        limit,
      ];
      if (stuck === null) return (await run(LIST + END('found'), params)).map(itemOf);
      const late = new Date(now.getTime() - TIMER_GRACE_MS).toISOString();
      params.push(JSON.stringify(stuck), late);
      return (await run(LIST + STUCK + END('merged'), params)).map(itemOf);
    },

    /** Flows per state, exact up to a bound. */
    async counts(
      pairs: { machine: string; state: string }[],
    ): Promise<Map<string, { n: number; capped: boolean }>> {
      const rows = await run(COUNTS, [JSON.stringify(pairs)]);
      return new Map(
        rows.map((r) => [`${r.machine}:${r.state}`, { n: Number(r.n), capped: Number(r.n) >= COUNT_CAP }]),
      );
    },

    async flow(id: string) {
      const [row] = await run(FLOW, [id]);
      return row ? { ...itemOf(row), purpose: row.purpose as string | null } : null;
    },

    /** Newest first. */
    steps: async (flowId: string, limit: number, before: string | null = null): Promise<Step[]> =>
      (await run(STEPS, [flowId, before ?? LAST_ID, limit])).map((r) => ({ ...(r as Step), at: at(r.at) })),

    /** The edges a flow has taken, oldest first; of a very long flow the newest 500 steps. */
    path: async (flowId: string): Promise<{ edges: string[]; toState: string }[]> =>
      (await run(PATH, [flowId])).reverse() as { edges: string[]; toState: string }[],

    async outboxOf(flowId: string): Promise<OutboxEntry[]> {
      return (await run(OUTBOX, [flowId])).map((r) => ({
        ...(r as OutboxEntry),
        dueAt: at(r.dueAt),
        createdAt: at(r.createdAt),
        doneAt: maybeAt(r.doneAt),
      }));
    },

    /** Steps after an id, oldest first, of all flows. One range of the primary key. */
    news: (after: string, limit: number): Promise<Step[]> => news.execute({ after, limit }),
  };
}

/** First and last UUID that begin with the given hex digits. */
function idRange(prefix: string): [string, string] {
  const digits = prefix.replaceAll('-', '').toLowerCase();
  const whole = (fill: string) =>
    digits.padEnd(32, fill).replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
  return [whole('0'), whole('f')];
}
