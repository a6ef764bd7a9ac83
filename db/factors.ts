/** A person's factors: read with every decision that may ask for one, written by commits alone. No secret is in clear here. */
import type { Database } from './client.ts';
import { counterKeySql } from './counter-keys.ts';
import { and, eq, inArray, isNull, type SQL, sql } from './driver/drizzle.ts';
import { accounts, factors } from './schema.ts';
import { fragment, insert, type WriteFragment } from './write/fragment.ts';

/** One that counts: active, or locked until it is replaced. */
export type StoredFactor = {
  id: string;
  accountId: string;
  kind: string;
  state: 'active' | 'locked';
  label: string | null;
  secretSealed: string | null;
  publicKey: string | null;
  credentialId: string | null;
  contactId: string | null;
  lastStep: number | null;
  codes: string[];
  details: Record<string, unknown>;
  /** Milliseconds. */
  lastUsedAt: number | null;
  /** Wrong answers in the running window. */
  failures: number;
};

/** The account's factors that count, oldest first, with the failures of their running windows. One index probe without any. */
export const factorsOf = (accountId: SQL, now: SQL): SQL<StoredFactor[]> => sql<StoredFactor[]>`(
  select coalesce(jsonb_agg(jsonb_build_object('id', f.id, 'accountId', f.account_id, 'kind', f.kind, 'state', f.state, 'label', f.label,
      'secretSealed', f.secret_sealed, 'publicKey', f.public_key, 'credentialId', f.credential_id,
      'contactId', f.contact_id, 'lastStep', f.last_step, 'codes', f.codes, 'details', f.details,
      'lastUsedAt', extract(epoch from f.last_used_at) * 1000,
      'failures', coalesce((select t.count from throttles t
        where t.key = ${counterKeySql.factor(sql`f.id`)} and t.window_ends_at > ${now}::timestamptz), 0)) order by f.created_at), '[]'::jsonb)
  from factors f where f.account_id = ${accountId} and f.ended_at is null and f.state in ('active', 'locked'))`;

/** Whether the account has enrolled a second factor. Backup codes only stand in for one. */
export const hasSecondFactor = (accountId: SQL): SQL<boolean> => sql<boolean>`exists (
  select 1 from factors f where f.account_id = ${accountId} and f.ended_at is null and f.state in ('active', 'locked')
    and f.kind <> 'backup_codes')`;

export type NewFactor = Pick<typeof factors.$inferInsert, 'secretSealed' | 'details'> &
  Partial<
    Pick<typeof factors.$inferInsert, 'label' | 'publicKey' | 'credentialId' | 'contactId' | 'lastStep'>
  >;

/** A factor that waits for its first answer. Earlier setups of its kind are over, and so are their flows. */
export const pend = (
  { id, accountId, kind }: { id: string; accountId: string; kind: string },
  row: NewFactor,
  now: Date,
): WriteFragment[] => [
  {
    name: 'outdated',
    sql: `delete from factors where account_id = ? and kind = ? and state = 'pending' and ended_at is null`,
    params: [accountId, kind],
    returning: 'id',
  },
  fragment(
    `update flows set status = 'archived', next_due_at = null
     where id in (select id from {outdated}) and machine = 'factor' and status = 'active'`,
    [],
  ),
  insert(factors, [
    {
      id,
      accountId,
      kind,
      state: 'pending',
      label: row.label ?? null,
      secretSealed: row.secretSealed ?? null,
      publicKey: row.publicKey ?? null,
      credentialId: row.credentialId ?? null,
      contactId: row.contactId ?? null,
      lastStep: row.lastStep ?? null,
      details: row.details ?? {},
      createdAt: now,
    },
  ]),
];

/** The answer that confirms it is used up by it. A passkey brings its key with that answer. */
export const confirm = (
  id: string,
  lastStep: number | null,
  now: Date,
  made: Omit<NewFactor, 'secretSealed'> = {},
): WriteFragment =>
  fragment(
    `update factors set state = 'active', confirmed_at = ?::timestamptz, last_used_at = ?::timestamptz,
       last_step = coalesce(?::bigint, last_step), public_key = coalesce(?, public_key),
       credential_id = coalesce(?, credential_id), details = details || ?::text::jsonb
     where id = ? and state = 'pending'`,
    [
      now.toISOString(),
      now.toISOString(),
      lastStep ?? made.lastStep ?? null,
      made.publicKey ?? null,
      made.credentialId ?? null,
      JSON.stringify(made.details ?? {}),
      id,
    ],
    1,
  );

/** What its owner calls it. */
export const rename = (id: string, label: string): WriteFragment =>
  fragment(`update factors set label = ? where id = ? and ended_at is null`, [label, id], 1);

export const end = (id: string, state: 'disabled' | 'replaced', now: Date): WriteFragment =>
  fragment(
    `update factors set state = ?, ended_at = ?::timestamptz, secret_sealed = null, codes = '{}'
     where id = ? and ended_at is null`,
    [state, now.toISOString(), id],
    1,
  );

export const lock = (id: string): WriteFragment =>
  fragment(`update factors set state = 'locked' where id = ? and state = 'active'`, [id], 1);

export const drop = (id: string): WriteFragment =>
  fragment(`delete from factors where id = ? and state = 'pending'`, [id]);

/** A set of backup codes; an earlier set is worth nothing from then on. */
export const storeCodes = (
  codes: { id: string; accountId: string; hashes: readonly string[] },
  now: Date,
): WriteFragment =>
  fragment(
    `insert into factors (id, account_id, kind, state, codes, created_at, confirmed_at)
     values (?, ?, 'backup_codes', 'active', string_to_array(?, ','), ?::timestamptz, ?::timestamptz)
     on conflict (account_id, kind) where kind in ('totp', 'backup_codes') and state in ('active', 'locked')
     do update set codes = excluded.codes, created_at = excluded.created_at, last_used_at = null`,
    [codes.id, codes.accountId, codes.hashes.join(','), now.toISOString(), now.toISOString()],
  );

export const dropCodes = (accountId: string, now: Date): WriteFragment =>
  fragment(
    `update factors set state = 'disabled', ended_at = ?::timestamptz, codes = '{}'
     where account_id = ? and kind = 'backup_codes' and ended_at is null`,
    [now.toISOString(), accountId],
  );

/** A signature of a passkey over a challenge that was issued then (milliseconds). */
export type PasskeyUse = { issuedAt: number; counter: number; deviceBound: boolean; backedUp: boolean };

/** What one right answer uses up: a time step or counter, a single-use code, or every challenge issued until then. */
export type FactorUse = { factorId: string } & (
  | { step: number }
  | { codeHash: string }
  | { passkey: PasskeyUse }
  | { seen: true }
);

/** Compare-and-set: whoever comes second finds nothing to use, and the commit is stale. */
export function use(used: FactorUse, now: Date): WriteFragment {
  const at = now.toISOString();
  const alive = `id = ? and state = 'active'`;
  if ('step' in used) {
    return fragment(
      `update factors set last_step = ?::bigint, last_used_at = ?::timestamptz
       where ${alive} and (last_step is null or last_step < ?::bigint)`,
      [used.step, at, used.factorId, used.step],
      1,
    );
  }
  if ('codeHash' in used) {
    return fragment(
      `update factors set codes = array_remove(codes, ?), last_used_at = ?::timestamptz
       where ${alive} and ? = any(codes)`,
      [used.codeHash, at, used.factorId, used.codeHash],
      1,
    );
  }
  if ('passkey' in used) {
    const { counter, deviceBound, backedUp } = used.passkey;
    const issued = new Date(used.passkey.issuedAt).toISOString();
    // `greatest`: the clock of the replica that issued the challenge may be ahead of this one.
    return fragment(
      `update factors set last_used_at = greatest(?::timestamptz, ?::timestamptz),
         last_step = greatest(coalesce(last_step, 0), ?::bigint), details = details || jsonb_build_object('backedUp', ?::boolean)
       where ${alive} and (last_used_at is null or last_used_at < ?::timestamptz)
         and (not ?::boolean or coalesce(last_step, 0) < ?::bigint or (coalesce(last_step, 0) = 0 and ?::bigint = 0))`,
      [at, issued, counter, backedUp, used.factorId, issued, deviceBound, counter, counter],
      1,
    );
  }
  return fragment(`update factors set last_used_at = ?::timestamptz where ${alive}`, [at, used.factorId], 1);
}

export type FactorStore = ReturnType<typeof createFactorStore>;

export function createFactorStore(db: Database) {
  const ofAccount = db.reads
    .select({
      eventSeq: accounts.eventSeq,
      factors: factorsOf(sql`${accounts.id}`, sql`${sql.placeholder('now')}`),
    })
    .from(accounts)
    .where(eq(accounts.id, sql.placeholder('id')))
    .prepare('factors_of_account');
  return {
    /** What counts for the account now. */
    async ofAccount(id: string, now: Date): Promise<{ eventSeq: number; factors: StoredFactor[] }> {
      const [row] = await ofAccount.execute({ id, now: now.toISOString() });
      return row ?? { eventSeq: 0, factors: [] };
    },

    /** A setup that waits for its first answer. */
    async pending(id: string) {
      const [row] = await db.reads
        .select()
        .from(factors)
        .where(and(eq(factors.id, id), eq(factors.state, 'pending')));
      return row ?? null;
    },

    /** The newest setup of a kind that waits for its first answer. */
    async pendingOf(accountId: string, kind: string) {
      const [row] = await db.reads
        .select()
        .from(factors)
        .where(
          and(
            eq(factors.accountId, accountId),
            eq(factors.kind, kind),
            eq(factors.state, 'pending'),
            isNull(factors.endedAt),
          ),
        );
      return row ?? null;
    },

    /** As the owner sees them. */
    list: (accountId: string) =>
      db.reads
        .select({
          id: factors.id,
          kind: factors.kind,
          state: factors.state,
          label: factors.label,
          left: sql<number>`cardinality(${factors.codes})`,
          details: factors.details,
          createdAt: factors.createdAt,
          lastUsedAt: factors.lastUsedAt,
        })
        .from(factors)
        .where(
          and(
            eq(factors.accountId, accountId),
            isNull(factors.endedAt),
            inArray(factors.state, ['active', 'locked']),
          ),
        )
        .orderBy(factors.createdAt),
  };
}
