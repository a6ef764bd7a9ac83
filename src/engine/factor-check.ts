/**
 * An answer to a factor by a person who is signed in, outside any login: counted and used up in one commit, so that parallel
 * guesses cannot share a place and one code opens one door.
 */
import type { Database } from '../../db/client.ts';
import { type Changes, commit, newChangeSet } from '../../db/commit.ts';
import type { FactorStore, StoredFactor } from '../../db/factors.ts';
import * as factorRows from '../../db/factors.ts';
import * as throttles from '../../db/throttles.ts';
import type { TypedCode } from '../kernel/crypto/typed-code.ts';
import { uuidv7 } from '../kernel/crypto/uuid7.ts';
import { Problem } from '../kernel/problems.ts';
import { persistently } from './contention.ts';
import type { SendContext } from './context.ts';
import type { Factors } from './factors/index.ts';
import type { FactorVerdict } from './factors/kind.ts';
import { answerLost, isReplay, reservationOf, settled, unlessTakenOver } from './keyed-run.ts';
import type { Proofs } from './proofs.ts';
import { countFactorFailure, type RecordContext, recordAudit } from './records.ts';
import type { DurableWindows } from './rules.ts';

/** What a passkey has signed, judged on factors as they were read. */
export type Answer = (factors: readonly StoredFactor[]) => Promise<FactorVerdict | null>;

export type FactorCheck = ReturnType<typeof createFactorCheck>;

export function createFactorCheck(deps: {
  db: Database;
  rows: FactorStore;
  factors: Factors;
  proofs: Proofs;
  windows: DurableWindows;
  onCommit: (changes: Changes) => void;
}) {
  const { db, rows, factors, proofs, windows } = deps;

  /**
   * The factor that the code answers; it is used up then.
   * @throws Problem invalid_code, rate_limited, conflict (also when the account has nothing that codes answer)
   */
  return async (
    asked: { accountId: string; sessionId: string | null; code: TypedCode | Answer },
    context: SendContext,
  ): Promise<StoredFactor> => {
    if (isReplay(context)) throw answerLost();
    const { accountId, sessionId, code } = asked;
    const open = factors.opener();
    // Every stale try means that another answer was counted or used, and a window has few places.
    const tries = windows.factorWindow(accountId, '').limit + 3;
    return persistently(tries, async () => {
      const known = await rows.ofAccount(accountId, new Date(context.now));
      const verdict =
        typeof code === 'function'
          ? await code(known.factors)
          : await factors.verdict(known.factors, code, context.now, open);
      if (!verdict)
        throw new Problem('conflict', { detail: 'The account has no second factor that this answers.' });
      const { factor, use } = verdict;
      proofs.factorBudget(accountId, factor.id, factor.failures);
      const changes = newChangeSet(new Date(context.now), {
        reservation: use ? reservationOf(context) : null,
      });
      const record: RecordContext = {
        id: `factor:${uuidv7()}`,
        flowId: null,
        envelope: context.envelope,
        changes,
        seqOf: () => known.eventSeq,
      };
      if (use) {
        const window = windows.factorWindow(accountId, factor.id);
        changes.rows.push(factorRows.use(use, changes.now), throttles.giveBack([window], changes.now));
        recordAudit(record, { type: 'mfa.verified', accountId, sessionId });
      } else {
        countFactorFailure(record, windows, { accountId, factorId: factor.id, failures: factor.failures });
        recordAudit(record, { type: 'mfa.failed', accountId, sessionId, outcome: 'failure' });
      }
      try {
        await commit(db.writes, changes);
      } catch (error) {
        throw await unlessTakenOver(db, context, error);
      }
      deps.onCommit(changes);
      if (!use) throw new Problem('invalid_code');
      settled(context);
      return factor;
    });
  };
}
