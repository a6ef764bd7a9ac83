/** The one way a decision becomes durable: snapshot, step, rows, audit and outbox in a single statement, or nothing. */

import type { InferInsertModel } from './driver/drizzle.ts';
import { ENDED, type EndRecord, endedCount, endRecords } from './ended-sessions.ts';
import { type Reservation, settle } from './idempotency.ts';
import { accounts, auditEvents, flowSteps, flows, outbox } from './schema.ts';
import { execute } from './write/compose.ts';
import { fragment, insert, update, type WriteFragment } from './write/fragment.ts';
import type { Runner } from './write/runner.ts';

export type { WriteFragment };
export type FlowRow = InferInsertModel<typeof flows>;
export type StepRow = InferInsertModel<typeof flowSteps>;
export type AuditRow = InferInsertModel<typeof auditEvents>;
export type OutboxRow = InferInsertModel<typeof outbox>;
export type AccountRow = InferInsertModel<typeof accounts>;

/** What happens to one account in a commit: all patches of it merge here, since a statement may touch a row once. */
export type AccountChange = {
  insert: Omit<AccountRow, 'eventSeq' | 'updatedAt'> | null;
  patch: Partial<Pick<AccountRow, 'tier' | 'status' | 'lastLoginAt' | 'deletedAt' | 'roles' | 'username'>>;
  /** `event_seq` as read; the commit is stale when the account has moved since. */
  expectedSeq: number;
  /** Status as read, when the decision was taken on it. */
  expectedStatus?: AccountRow['status'];
  events: number;
  /** How sessions that end by this commit are recorded, when any may; how many do only the statement knows. */
  ends?: EndRecord;
};

export type FlowChange = {
  row: FlowRow;
  /** Version as read; null inserts. */
  expectedVersion: number | null;
  /** Status as read, where it need not be active. */
  expectedStatus?: 'active' | 'quarantined';
};

export type Changes = {
  now: Date;
  /** Rows that others reference, written first for readability; one statement checks all keys at its end. */
  before: WriteFragment[];
  accounts: Map<string, AccountChange>;
  flows: FlowChange[];
  steps: StepRow[];
  audit: AuditRow[];
  outbox: OutboxRow[];
  /** Whether the statement makes outbox rows that are not in the list: one per session that ends, or per place to tell. */
  unlisted: boolean;
  /** Until when the writer keeps the outbox rows to itself, to deliver them without claiming them; null leaves them to all. */
  lease: Date | null;
  rows: WriteFragment[];
  /** The keyed request this is the effect of. */
  reservation: Reservation | null;
};

export const newChangeSet = (
  now: Date,
  { lease = null, reservation = null }: Partial<Pick<Changes, 'lease' | 'reservation'>> = {},
): Changes => ({
  now,
  before: [],
  accounts: new Map(),
  flows: [],
  steps: [],
  audit: [],
  outbox: [],
  unlisted: false,
  lease,
  rows: [],
  reservation,
});

function accountFragment(id: string, change: AccountChange, now: Date): WriteFragment {
  if (change.insert) {
    return insert(accounts, [
      { ...change.insert, ...change.patch, id, eventSeq: change.events, updatedAt: now } as AccountRow,
    ]);
  }
  const { expectedSeq, expectedStatus } = change;
  return update(
    accounts,
    { ...change.patch, updatedAt: now },
    expectedStatus === undefined
      ? { sql: 'id = ? and event_seq = ?', params: [id, expectedSeq] }
      : { sql: 'id = ? and event_seq = ? and status = ?', params: [id, expectedSeq, expectedStatus] },
    {
      expectRows: 1,
      raw: `event_seq = event_seq + ${change.events}${change.ends ? ` + (${endedCount})` : ''}`,
    },
  );
}

function flowFragment({ row, expectedVersion, expectedStatus = 'active' }: FlowChange): WriteFragment {
  if (expectedVersion === null) return insert(flows, [row]);
  const { id, createdAt: _created, machine: _machine, ...set } = row;
  return update(
    flows,
    set,
    { sql: `id = ? and version = ? and status = '${expectedStatus}'`, params: [id, expectedVersion] },
    { expectRows: 1 },
  );
}

/** Accounts are locked in one order, so that two commits about the same two people cannot wait for each other. */
const byId = ([a]: [string, unknown], [b]: [string, unknown]): number => (a < b ? -1 : 1);

/**
 * Locks are taken flow first, then account, then the rest, as `FlowStore.lock` does: Postgres runs parts with a `expectRows`
 * in this order, and stops at the first that misses. Insertion order does not matter to foreign keys.
 */
export const toFragments = (changes: Changes): WriteFragment[] => [
  ...changes.before,
  ...changes.flows.map(flowFragment),
  ...[...changes.accounts].sort(byId).map(([id, change]) => accountFragment(id, change, changes.now)),
  ...[...changes.accounts.values()].flatMap((c) =>
    c.ends ? endRecords(c.ends, c.expectedSeq + c.events) : [],
  ),
  ...(changes.steps.length ? [insert(flowSteps, changes.steps)] : []),
  ...changes.rows,
  ...(changes.audit.length ? [insert(auditEvents, changes.audit)] : []),
  ...outboxFragments(changes),
  ...(changes.reservation
    ? [
        settle(
          changes.reservation,
          changes.steps.map(({ id }) => id),
          changes.now,
        ),
      ]
    : []),
];

/**
 * A lease holds only where no earlier row of the same account waits: that one goes first, whoever delivers it. No other
 * commit of the account can come between, since each moves the account's `event_seq`.
 */
function outboxFragments({ outbox: rows, lease }: Changes): WriteFragment[] {
  if (rows.length === 0) return [];
  // A replayed effect id is the same effect.
  const onConflict = 'nothing' as const;
  const owners = [...new Set(rows.map((row) => row.accountId ?? null).filter((id) => id !== null))];
  if (lease === null || owners.length > 1) return [insert(outbox, rows, { onConflict })];
  const waiting = `exists (select 1 from outbox where account_id = ? and status = 'pending')`;
  const line: WriteFragment = {
    name: 'line',
    sql: `select ?::timestamptz as until, ${owners.length ? `not ${waiting}` : 'true'} as leased`,
    params: [lease.toISOString(), ...owners],
    returnsColumn: 'leased',
  };
  const computed = {
    leased_until: '(select until from {line} where leased)',
    attempts: '(select leased::int from {line})',
  };
  return [line, insert(outbox, rows, { onConflict, computed })];
}

/** `leased`: outbox rows that are the writer's to deliver. */
export type Committed = { sessionsEnded: number; leased: OutboxRow[] };

/** Rows of which no two commits of a group may speak: accounts first, which are locked. */
const subjectsOf = ({ accounts, flows }: Changes): Set<string> => {
  const subjects = new Set(accounts.keys());
  for (const { row } of flows)
    for (const id of [row.id, row.accountId, row.contactId]) if (id) subjects.add(id);
  return subjects;
};

/** Throws VersionConflict when anything it was decided on has changed; nothing is written then. */
export async function commit(runner: Runner, changes: Changes): Promise<Committed> {
  const parts = toFragments(changes);
  const told = await (runner.commit?.(parts, subjectsOf(changes)) ?? execute(runner, parts));
  return { sessionsEnded: Number(told[ENDED] ?? 0), leased: told.line === true ? changes.outbox : [] };
}

/** Holds the account at the status it was read with, for a decision that changes nothing else about it. */
export const requireActive = (accountId: string): WriteFragment =>
  fragment("select 1 from accounts where id = ? and status = 'active' for share", [accountId], 1);
