/** Steps as they were committed, with what has become of their flows since: to tell again what a lost answer told. */
import type { Database } from './client.ts';
import { and, eq, inArray, sql } from './driver/drizzle.ts';
import { accounts, flowSteps, flows, sessions } from './schema.ts';

export type CommittedStep = Awaited<ReturnType<typeof committedSteps>>[number];

/** In the order asked for; a step that is gone is left out. */
export async function committedSteps({ reads }: Pick<Database, 'reads'>, ids: string[], now: Date) {
  const at = now.toISOString();
  const rows = await reads
    .select({
      id: flowSteps.id,
      flowId: flowSteps.flowId,
      seq: flowSteps.seq,
      machine: flowSteps.machine,
      machineVersion: flowSteps.machineVersion,
      at: flowSteps.at,
      toState: flowSteps.toState,
      context: flowSteps.context,
      version: flows.version,
      status: flows.status,
      tokenGeneration: flows.tokenGeneration,
      tokenExpiresAt: flows.tokenExpiresAt,
      stateEnteredAt: flows.stateEnteredAt,
      accountStatus: accounts.status,
      /** Sessions of the account that ended by the commit of the step. */
      sessionsEnded: sql<number>`(select count(*)::int from sessions e
        where e.account_id = ${flows.accountId} and e.revoked_at = ${flowSteps.at})`,
      /** Whether the session the step granted, if any, is still as it was opened. */
      sessionOver: sql<boolean>`coalesce(${sessions.revokedAt} is not null or ${sessions.refreshGeneration} > 1
        or least(${sessions.expiresAt}, ${sessions.idleExpiresAt}) <= ${at}::timestamptz, false)`,
    })
    .from(flowSteps)
    .innerJoin(flows, eq(flows.id, flowSteps.flowId))
    .leftJoin(accounts, eq(accounts.id, flows.accountId))
    .leftJoin(
      sessions,
      and(
        eq(flowSteps.machine, 'login'),
        sql`${sessions.id} = case when ${flowSteps.machine} = 'login' then (${flowSteps.context}->>'sessionId')::uuid end`,
      ),
    )
    .where(inArray(flowSteps.id, ids));
  return ids.flatMap((id) => rows.filter((row) => row.id === id));
}
