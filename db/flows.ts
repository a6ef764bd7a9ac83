/** Reads flows with what a decision needs beside them, in one round trip. Only `commit` writes snapshots. */

import type { Database, Reader } from './client.ts';
import type { StepRow } from './commit.ts';
import { counterKeySql } from './counter-keys.ts';
import { callersDevice, decidedOn, device, mailContactId, ownAddress, signupOf } from './decided-on.ts';
import { and, desc, eq, inArray, sql } from './driver/drizzle.ts';
import { accounts, contacts, credentials, devices, flowSteps, flows, throttles } from './schema.ts';
import { execute } from './write/compose.ts';
import { fragment, insert } from './write/fragment.ts';

export type LoadedFlow = Awaited<ReturnType<FlowStore['byId']>> & object;

/** States of a sign-up that has sent a code and waits for it. */
export const WAITING = ['UNVERIFIED.code_sent', 'UNVERIFIED.locked'];

type Tier = 'UNVERIFIED' | 'LIMITED' | 'FULL';

const network = sql`${sql.placeholder('network')}::text`;
const contactId = sql`contacts.id`;

const columns = {
  flow: {
    id: flows.id,
    machine: flows.machine,
    machineVersion: flows.machineVersion,
    version: flows.version,
    status: flows.status,
    state: flows.state,
    snapshot: flows.snapshot,
    accountId: flows.accountId,
    contactId: flows.contactId,
    tokenHash: flows.tokenHash,
    tokenGeneration: flows.tokenGeneration,
    tokenExpiresAt: flows.tokenExpiresAt,
    createdAt: flows.createdAt,
    stateEnteredAt: flows.stateEnteredAt,
    nextDueAt: flows.nextDueAt,
  },
  contact: {
    id: contacts.id,
    type: contacts.type,
    canonical: contacts.canonical,
    accountId: contacts.accountId,
  },
  ...decidedOn,
  device,
  /** Who else owns the flow's contact by now: a registration does not claim its address before it is proven. */
  otherOwner: sql<{ accountId: string; tier: Tier; signupFlowId: string | null } | null>`
    case when contacts.account_id <> accounts.id then (select jsonb_build_object('accountId', o.id, 'tier', o.tier, 'signupFlowId', ${signupOf(sql`o.id`)})
    from accounts o where o.id = contacts.account_id) end`,
  mailContactId,
  /** Whom a login that waits at L4 lets in, for its answer: nothing is read for any other flow. */
  person: sql<{ email: string | null; name: string | null } | null>`
    case when ${flows.state} = 'L4_step_up' then (select jsonb_build_object(
      'name', coalesce(p.display_name, nullif(concat_ws(' ', p.first_name, p.last_name), '')),
      'email', (${ownAddress('e.value')}))
    from (select accounts.id) a left join profiles p on p.account_id = a.id) end`,
  /** Durable failure counters of the contact, the caller's network at it, and the account: `{key: count}` of live windows. */
  failures: sql<Record<string, number>>`(
    select coalesce(jsonb_object_agg(t.key, t.count), '{}'::jsonb) from ${throttles} t
    where t.key in (${sql.join(
      [
        counterKeySql.codeDaily(contactId),
        counterKeySql.codeOfNetwork(contactId, network),
        counterKeySql.anonymousOfNetwork(contactId, network),
        counterKeySql.anonymousPerCode(contactId),
        counterKeySql.pin(sql`accounts.id`),
        counterKeySql.loginCode(sql`accounts.id`),
      ],
      sql.raw(', '),
    )})
      and t.window_ends_at > ${sql.placeholder('now')}::timestamptz)`,
};

const from = (reader: Reader) =>
  reader
    .select(columns)
    .from(flows)
    .leftJoin(contacts, eq(contacts.id, flows.contactId))
    .leftJoin(accounts, sql`${accounts.id} = coalesce(${flows.accountId}, ${contacts.accountId})`)
    .leftJoin(credentials, eq(credentials.accountId, accounts.id))
    .leftJoin(devices, callersDevice);

const byIdQuery = (reader: Reader) =>
  from(reader)
    .where(eq(flows.id, sql.placeholder('id')))
    .prepare('flow_by_id');

const latestQuery = (reader: Reader) =>
  from(reader)
    .where(
      and(
        eq(flows.contactId, sql.placeholder('contactId')),
        eq(flows.machine, sql.placeholder('machine')),
        sql`${flows.purpose} is not distinct from ${sql.placeholder('purpose')}::text`,
        eq(flows.status, 'active'),
      ),
    )
    .orderBy(desc(flows.createdAt), desc(flows.id))
    .limit(1)
    .prepare('flow_latest_of_contact');

const ofAccountQuery = (reader: Reader) =>
  from(reader)
    .where(
      and(
        eq(flows.accountId, sql.placeholder('accountId')),
        eq(flows.machine, sql.placeholder('machine')),
        // A sign-up that LIMITED accounts can resume is found although its snapshot is lost.
        sql`(${flows.status} in ('active', 'done') or (${flows.status} = 'quarantined' and ${accounts.tier} = 'LIMITED'))`,
      ),
    )
    .orderBy(desc(flows.createdAt), desc(flows.id))
    .limit(1)
    .prepare('flow_latest_of_account');

/** `deviceId` decides whether the loaded account knows the caller's device, `network` whose failures are read. */
export type ReadContext = { deviceId: string | null; network?: string | null; now: Date };

/** How a flow is found. */
export type Locator =
  | { id: string; machine?: never }
  | { contactId: string; machine: string; purpose?: string | null }
  | { accountId: string; machine: string };

const shownBy = ({ deviceId, network, now }: ReadContext) => ({
  deviceId: deviceId ?? '',
  network: network ?? '',
  now: now.toISOString(),
});

function find(reader: Reader) {
  const byId = byIdQuery(reader);
  const latest = latestQuery(reader);
  const ofAccount = ofAccountQuery(reader);
  return async (locator: Locator, context: ReadContext) => {
    const shared = shownBy(context);
    const rows =
      'contactId' in locator
        ? await latest.execute({ ...shared, purpose: null, ...locator })
        : 'accountId' in locator
          ? await ofAccount.execute({ ...shared, ...locator })
          : await byId.execute({ ...shared, id: locator.id });
    return rows[0];
  };
}

/** By an array of keys, which only the primary key can serve: a join planned on an empty table read every flow there is. */
const CLAIM_DUE = `
  with due as (
    select id from flows where status = 'active' and next_due_at <= $1::timestamptz
    order by next_due_at limit $2::int for no key update skip locked)
  update flows f set next_due_at = $1::timestamptz + interval '30 seconds' where f.id = any(array(select id from due))
  returning f.id, f.machine`;

export type FlowStore = ReturnType<typeof createFlowStore>;

/** Holds the account's row until the transaction ends. */
const lockAccount = async (reader: Reader, id: string): Promise<void> => {
  await reader.select({ id: accounts.id }).from(accounts).where(eq(accounts.id, id)).for('no key update');
};

export function createFlowStore(db: Database) {
  const load = find(db.reads);
  return {
    load,
    byId: (id: string, context: ReadContext) => load({ id }, context),

    lockAccount,

    /** Loads under the flow's and the account's row lock, so that the decision cannot be overtaken. */
    async lock(reader: Reader, id: string, context: ReadContext) {
      const [row] = await reader
        .select({ accountId: sql<string | null>`coalesce(${flows.accountId}, ${contacts.accountId})` })
        .from(flows)
        .leftJoin(contacts, eq(contacts.id, flows.contactId))
        .where(eq(flows.id, id))
        .for('no key update', { of: flows });
      if (row?.accountId) await lockAccount(reader, row.accountId);
      return (await byIdQuery(reader).execute({ id, ...shownBy(context) }))[0];
    },

    /**
     * The registration that waits for the code of this address; null unless there is exactly one. With several the
     * address alone does not say whose code it is, and one person must not confirm what another one registered.
     */
    async registrationOf(contactId: string): Promise<string | null> {
      const rows = await db.reads
        .select({ id: flows.id })
        .from(flows)
        .where(
          and(
            eq(flows.contactId, contactId),
            eq(flows.machine, 'signup'),
            eq(flows.status, 'active'),
            inArray(flows.state, WAITING),
          ),
        )
        .limit(2);
      return rows.length === 1 ? (rows[0]?.id ?? null) : null;
    },

    /** The sign-up under way of whoever owns the contact. */
    async signupOfContact(contactId: string): Promise<string | null> {
      const [row] = await db.reads
        .select({ id: flows.id })
        .from(flows)
        .innerJoin(contacts, eq(contacts.accountId, flows.accountId))
        .where(and(eq(contacts.id, contactId), eq(flows.machine, 'signup'), eq(flows.status, 'active')))
        .orderBy(desc(flows.createdAt))
        .limit(1);
      return row?.id ?? null;
    },

    /** Active flows whose timer has passed, each handed to one caller only; asked again after a while if it fails. */
    claimDue: async (now: Date, limit: number): Promise<{ id: string; machine: string }[]> =>
      (await db.writes.unsafe(CLAIM_DUE, [now.toISOString(), limit], { prepare: true })) as never,

    /** Records a refused event; nothing else of the flow changes. */
    refuse: (step: StepRow) => execute(db.writes, [insert(flowSteps, [step])]),

    /** Takes a row that does not parse out of circulation; its flow answers `flow_needs_restart` from then on. */
    quarantine: (id: string, version: number) =>
      execute(db.writes, [
        fragment(
          "update flows set status = 'quarantined' where id = ? and version = ? and status = 'active'",
          [id, version],
        ),
      ]),

    steps: (flowId: string) =>
      db.reads.select().from(flowSteps).where(eq(flowSteps.flowId, flowId)).orderBy(flowSteps.id),
  };
}
