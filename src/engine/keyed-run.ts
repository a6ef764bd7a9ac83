/** One run of a request that carries an Idempotency-Key: the hold its commit must still have, and what is there already. */
import type { Database } from '../../db/client.ts';
import { isStale } from '../../db/driver/conflicts.ts';
import { holds, type Reservation } from '../../db/idempotency.ts';
import { Problem } from '../kernel/problems.ts';

export type KeyedRun = Reservation & {
  /** Steps that an earlier run of the same request committed before its answer was lost; null when none did. */
  committed: string[] | null;
  /** Whether the answer of this run rests on a commit: its own, or the one it has found. */
  settled: boolean;
};

type Keyed = { idempotency?: KeyedRun | null };

/** Whether the request has had its effect and only its answer is to be made again. */
export const isReplay = ({ idempotency }: Keyed): boolean => (idempotency?.committed ?? null) !== null;

/** What the commit of this request has to write beside its rows; null for requests without a key. */
export const reservationOf = ({ idempotency }: Keyed): Reservation | null =>
  idempotency && !idempotency.settled ? idempotency : null;

/** The commit is durable, or was found to be. */
export function settled({ idempotency }: Keyed): void {
  if (idempotency) idempotency.settled = true;
}

/** True, and then there is nothing left to commit, when an earlier run of the request has done so. */
export function alreadyCommitted(keyed: Keyed): boolean {
  if (!isReplay(keyed)) return false;
  settled(keyed);
  return true;
}

export const answerLost = (cause?: unknown): Problem =>
  new Problem('idempotency_answer_lost', {}, cause === undefined ? undefined : { cause });

/** Deciding again helps only while the key is held: after a takeover the effect is the other run's to have. */
export async function unlessTakenOver(
  db: Pick<Database, 'writes'>,
  keyed: Keyed,
  error: unknown,
): Promise<unknown> {
  const reservation = reservationOf(keyed);
  if (!reservation || !isStale(error) || (await holds(db, reservation))) return error;
  return new Problem('idempotency_in_progress', { retryAfter: 1 }, { cause: error });
}
