/** What a client was told, written down and flushed before it goes on: the only truth a crash is judged by. */
import { closeSync, fsyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Sql } from 'postgres';

/** An acknowledged step: this flow took this event and rested in this state. */
export type Ack = { flowId: string; event: string; state: string };

export type Journal = {
  acks: Ack[];
  /** Requests without an answer, or with "not now". */
  unknown: number;
  /** Statuses of all answers. */
  statuses: Record<number, number>;
  acknowledge(ack: Ack): void;
  note(status: number | null): void;
  close(): void;
};

export function createJournal(): Journal {
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-journal-'));
  const file = openSync(join(folder, 'journal.jsonl'), 'a');
  const journal: Journal = {
    acks: [],
    unknown: 0,
    statuses: {},
    acknowledge(ack) {
      writeSync(file, `${JSON.stringify(ack)}\n`);
      fsyncSync(file);
      journal.acks.push(ack);
    },
    note(status) {
      if (status === null || status === 503) journal.unknown += 1;
      if (status !== null) journal.statuses[status] = (journal.statuses[status] ?? 0) + 1;
    },
    close() {
      closeSync(file);
      rmSync(folder, { recursive: true, force: true });
    },
  };
  return journal;
}

/** Acknowledged steps the database does not know. */
export async function lost(sql: Sql, { acks }: Journal): Promise<Ack[]> {
  const rows = await sql<Ack[]>`select flow_id as "flowId", event, to_state as state from flow_steps
    where not refused`;
  const kept = new Set(rows.map((r) => `${r.flowId} ${r.event} ${r.state}`));
  return acks.filter((a) => !kept.has(`${a.flowId} ${a.event} ${a.state}`));
}
