/** What must be true of the database at all times, as queries that return the rows which break it. */
import type { Sql } from 'postgres';

/** Flow machines whose resting states carry a tier, by the first part of their path. */
const TIERED = `split_part(f.state, '.', 1) in ('UNVERIFIED', 'LIMITED', 'FULL')`;

const QUERIES: Record<string, string> = {
  'I4 one account per canonical identifier': `
    select type, canonical, count(*) from contacts group by 1, 2 having count(*) > 1`,
  'I4 an account with a finished proof owns its contact': `
    select f.id from flows f join contacts c on c.id = f.contact_id
    where f.machine = 'signup' and f.status = 'active' and f.account_id is not null
      and f.state not in ('UNVERIFIED.code_sent', 'UNVERIFIED.locked')
      and c.account_id is distinct from f.account_id`,
  'I7 no live session of an account that is not active': `
    select s.id from sessions s join accounts a on a.id = s.account_id
    where s.revoked_at is null and a.status <> 'active'`,
  'I8 FULL implies exactly one verified KYC record': `
    select a.id, count(k.id) from accounts a
    left join kyc_records k on k.account_id = a.id and k.status = 'VERIFIED'
    where a.tier = 'FULL' and a.status = 'active' group by a.id having count(k.id) <> 1`,
  'I8 a tier never rises without its transition': `
    select a.id, a.tier from accounts a where a.tier <> 'UNVERIFIED' and a.status = 'active' and not exists (
      select 1 from flows f join flow_steps s on s.flow_id = f.id and not s.refused
      where f.machine = 'signup' and f.account_id = a.id
        and (s.to_state = a.tier or s.to_state like a.tier || '.%'))`,
  'I9 the tier column is the tier of the flow': `
    select f.id, f.state, a.tier from flows f join accounts a on a.id = f.account_id
    where f.machine = 'signup' and f.status in ('active', 'done') and ${TIERED}
      and a.status = 'active' and split_part(f.state, '.', 1) <> a.tier`,
  'I9 the last step is the state, at the version, of the flow': `
    select f.id, f.state, f.version, s.to_state, s.seq from flows f left join lateral (
      select to_state, seq from flow_steps where flow_id = f.id and not refused order by seq desc limit 1) s on true
    where f.status <> 'quarantined' and (s.seq is distinct from f.version or s.to_state is distinct from f.state)`,
  'I9 the snapshot value is the state': `
    select f.id, f.state, f.snapshot->'value' from flows f where f.status <> 'quarantined' and f.state <> case
      when jsonb_typeof(f.snapshot->'value') = 'string' then f.snapshot->>'value'
      else (select k || '.' || (f.snapshot->'value'->>k) from jsonb_object_keys(f.snapshot->'value') k limit 1) end`,
  'I9 steps follow each other without a gap': `
    select flow_id, count(*), max(seq) from flow_steps where not refused
    group by flow_id having count(*) <> max(seq)`,
  'I9 each step starts where the one before it ended': `
    select id from (select id, from_state, lag(to_state) over (partition by flow_id order by seq) as before
      from flow_steps where not refused) s where before is not null and before <> from_state`,
  'I10 every outbox row belongs to a committed step': `
    select o.id from outbox o where o.flow_id is not null and not exists (
      select 1 from flow_steps s where s.flow_id = o.flow_id and not s.refused
        and s.seq = split_part(o.id, ':', 2)::int)`,
  'I10 the outbox of an account is complete and in order': `
    select a.id, a.event_seq, count(o.id), max(o.account_seq) from accounts a
    left join outbox o on o.account_id = a.id and o.account_seq is not null
    where a.status = 'active' group by a.id having count(o.id) <> a.event_seq or count(distinct o.account_seq) <> a.event_seq`,
  'I10 every session was told of': `
    select s.id from sessions s where not exists (select 1 from outbox o where o.flow_id = s.flow_id
      and o.payload->>'type' = 'session.created')`,
  'I10 every issued code has its message': `
    select s.flow_id, s.seq from flow_steps s where not s.refused and s.machine in ('signup', 'challenge')
      and s.event in ('PHONE_SUBMITTED', 'CODE_REQUESTED')
      and not exists (select 1 from outbox o where o.flow_id = s.flow_id and split_part(o.id, ':', 2)::int = s.seq
        and o.topic = 'code.send')
      and not exists (select 1 from audit_events e where e.flow_id = s.flow_id and e.type = 'code.suppressed')`,
};

/** Each broken invariant with up to five of the rows that break it; empty when all hold. */
export async function brokenInvariants(sql: Sql): Promise<Record<string, unknown[]>> {
  const broken: Record<string, unknown[]> = {};
  for (const [name, query] of Object.entries(QUERIES)) {
    const rows = await sql.unsafe(`select * from (${query}) q limit 5`);
    if (rows.length) broken[name] = [...rows];
  }
  return broken;
}
