/** What a composed statement runs on: a lane that gathers commits, or one connection of a transaction. */
import type { Sql, TransactionSql } from 'postgres';
import type { WriteFragment } from './fragment.ts';

export type GroupCommit = {
  /**
   * `subjects`: ids of the rows that the commit is about, the one it locks first; two that share one never travel together. Answers and throws
   * as `execute` does.
   */
  commit(parts: WriteFragment[], subjects: ReadonlySet<string>): Promise<Record<string, unknown>>;
};

/** Runs one statement, on a lane of its own or inside a transaction. */
export type Runner = (Pick<Sql, 'unsafe'> | Pick<TransactionSql, 'unsafe'>) & Partial<GroupCommit>;
