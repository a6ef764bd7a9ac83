/** Ends sessions with the records of it, in one transaction under the account's lock. The only way besides a flow. */
import type { Database } from '../../db/client.ts';
import { commit, newChangeSet } from '../../db/commit.ts';
import { isStale } from '../../db/driver/conflicts.ts';
import { end, lockLive } from '../../db/sessions.ts';
import { Problem } from '../kernel/problems.ts';
import type { SendContext } from './engine.ts';
import { reservationOf, settled, unlessTakenOver } from './keyed-run.ts';
import { type AuditEntry, enqueue, recordAudit } from './records.ts';

export type SessionEnding = {
  accountId: string;
  /** The session that gives cause. */
  sessionId: string;
  /** Only that session, or every one of the account. */
  which: 'this' | 'all';
  reason: 'logout' | 'removed' | 'token_reuse';
  /** Recorded once, before the sessions that end. */
  event?: Pick<AuditEntry, 'type' | 'outcome' | 'reason'>;
};

export type SessionEnds = ReturnType<typeof createSessionEnds>;

export const createSessionEnds = (deps: { db: Database; onCommit: () => void }) => ({
  /** Ids of the sessions that ended by this call: none when the one that gives cause had ended before. */
  async end(ending: SessionEnding, context: SendContext): Promise<string[]> {
    const { accountId, sessionId, which, reason, event } = ending;
    const { now, envelope } = context;
    const at = new Date(now);
    const attempt = () =>
      deps.db.transaction(async (tx, reads) => {
        const { eventSeq, ids } = await lockLive(reads, accountId, at);
        if (!ids.includes(sessionId)) return [];
        const ending = which === 'all' ? ids : [sessionId];
        const changes = newChangeSet(at, { reservation: reservationOf(context) });
        const record = (entry: Omit<AuditEntry, 'accountId'>, id: string) => {
          const row = { id, flowId: null, envelope, changes, seqOf: () => eventSeq };
          const { type, outcome = 'success', reason = null, sessionId } = entry;
          recordAudit(row, { ...entry, accountId });
          enqueue(row, 'event', accountId, { type, outcome, reason, session_id: sessionId });
        };
        if (event) record({ ...event, sessionId }, `session:${sessionId}:${event.type}`);
        for (const id of ending)
          record({ type: 'session.revoked', reason, sessionId: id }, `session:${id}:end`);
        changes.rows.push(end(ending, reason, at));
        await commit(tx, changes);
        return ending;
      });
    // A login may hold the rows the other way round; Postgres breaks one of the two off, and it is asked again.
    const again = async (error: unknown) => {
      const cause = await unlessTakenOver(deps.db, context, error);
      if (isStale(cause)) return attempt();
      throw cause;
    };
    const ended = await attempt()
      .catch(again)
      .catch((error) => {
        throw isStale(error) ? new Problem('overloaded', { retryAfter: 1 }, { cause: error }) : error;
      });
    if (!ended.length) return ended;
    settled(context);
    deps.onCommit();
    return ended;
  },
});
