/** What to do when rows that a decision was taken on have moved before it was written: decide again, not for ever. */
import { isStale } from '../../db/driver/conflicts.ts';
import { Problem } from '../kernel/problems.ts';

/** Repeats `work` while it meets rows that have moved on; `conflict` when that does not end. */
export async function persistently<T>(tries: number, work: () => Promise<T>): Promise<T> {
  for (let left = tries; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (!isStale(error)) throw error;
      if (left <= 1) throw new Problem('conflict', {}, { cause: error });
    }
  }
}
