/** What an account says about its sign-up beside the snapshot, and the end of a flow whose snapshot is lost. */
import type { Database } from './client.ts';
import { fragment, type WriteFragment } from './write/fragment.ts';

export type RepairFacts = {
  pinSet: boolean;
  profileComplete: boolean;
  kyc: { id: string; submissions: number } | null;
};

const FACTS = `
  select coalesce((select pin_hash is not null from credentials where account_id = $1::uuid), false) as pin_set,
    coalesce((select completed_at is not null from profiles where account_id = $1::uuid), false) as profile_complete,
    (select count(*)::int from kyc_records where account_id = $1::uuid) as submissions,
    (select id from kyc_records where account_id = $1::uuid order by submitted_at desc, id desc limit 1) as kyc_id`;

/** On the commit lane: a replica that lags must not decide. */
export async function repairFacts(db: Pick<Database, 'writes'>, accountId: string): Promise<RepairFacts> {
  const [row] = await db.writes.unsafe(FACTS, [accountId], { prepare: true });
  const { pin_set, profile_complete, submissions, kyc_id } = row as Record<string, unknown>;
  return {
    pinSet: pin_set === true,
    profileComplete: profile_complete === true,
    kyc: kyc_id === null ? null : { id: kyc_id as string, submissions: Number(submissions) },
  };
}

/** Takes the flow out of circulation; stale when it has moved since it was read. */
export const withdraw = (flowId: string, version: number): WriteFragment =>
  fragment(
    "update flows set status = 'quarantined', next_due_at = null where id = ? and version = ? and status = 'active'",
    [flowId, version],
    1,
  );
