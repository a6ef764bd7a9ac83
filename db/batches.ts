/** Deletes of what has had its time, in batches that hold no lock for long, on a connection that serves no request. */
import type { Database } from './client.ts';

export const BATCH_SIZE = 500;
/** So many batches in a row; what is left waits for the next round. */
const BATCHES = 100;

/**
 * Repeats a deletion while it is full, each batch in a transaction of its own. `statement` deletes at most `$2` rows that
 * ended by `$1`, and returns or affects one row for each.
 */
export async function deleteInBatches(
  db: Pick<Database, 'transaction'>,
  statement: string,
  until: Date,
): Promise<void> {
  const batch = () =>
    db.transaction(async (tx) => (await tx.unsafe(statement, [until.toISOString(), BATCH_SIZE])).count);
  for (let i = 0; i < BATCHES; i++) if ((await batch()) < BATCH_SIZE) return;
}
