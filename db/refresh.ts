/** The refresh family of a session: one statement rotates it, and only from the generation that is current. */
import type { Database } from './client.ts';
import type { Reservation } from './idempotency.ts';
import { fragment, type WriteFragment } from './write/fragment.ts';

type Tier = 'UNVERIFIED' | 'LIMITED' | 'FULL';

/** What a new access token says, read in the same statement that allowed it. */
export type Grantee = {
  accountId: string;
  tier: Tier;
  roles: string[];
  acr: string;
  amr: string[];
  /** Milliseconds since the epoch; never moves after the login. */
  authTime: number;
  persistent: boolean;
  expiresAt: number;
};

/** A family as it rests; `open` is false once the session has ended, expired, or its account is not active. */
export type Family = Grantee & {
  generation: number;
  rotatedAt: number;
  /** Keyed digest of the client that made the current generation; null where none was noted. */
  rotatedBy: string | null;
  idleExpiresAt: number;
  open: boolean;
};

export type Rotation = {
  sessionId: string;
  generation: number;
  hash: string;
  nextHash: string;
  /** Keyed digest of the client that rotates. */
  client: string;
  now: Date;
  idleExpiresAt: Date;
  /** The keyed request that rotates. */
  reservation?: Reservation | null;
};

/** No catalogue types are fetched at connect, so arrays travel as JSON and times as numbers. */
const GRANTEE = `s.account_id, a.tier, array_to_json(a.roles)::text as roles, s.acr, array_to_json(s.amr)::text as amr,
  (extract(epoch from s.auth_time) * 1000)::text as auth_time, s.persistent,
  (extract(epoch from s.expires_at) * 1000)::text as expires_at`;

/** `at` is a timestamp. */
const openAt = (at: string): string =>
  `s.revoked_at is null and s.expires_at > ${at}::timestamptz and s.idle_expires_at > ${at}::timestamptz
  and a.status = 'active' and a.tier <> 'UNVERIFIED'`;

/** The row lock makes parallel presentations of one token queue here; all but the first find another generation. */
function rotation(r: Rotation): WriteFragment {
  const at = r.now.toISOString();
  return {
    name: 'rotated',
    sql: `update sessions s set refresh_generation = s.refresh_generation + 1, refresh_hash = ?,
      refresh_client = ?, refresh_rotated_at = ?::timestamptz, last_active_at = ?::timestamptz,
      idle_expires_at = least(?::timestamptz, s.expires_at)
    from accounts a
    where s.id = ?::uuid and a.id = s.account_id and s.refresh_generation = ?::int and s.refresh_hash = ?
      and ${openAt('?')}`,
    params: [
      r.nextHash,
      r.client,
      at,
      at,
      r.idleExpiresAt.toISOString(),
      r.sessionId,
      r.generation,
      r.hash,
      at,
      at,
    ],
    returning: GRANTEE,
    returnsColumn: 'row_to_json({rotated})::text',
  };
}

/** A keyed rotation counts as the effect of its key, or is undone when the run no longer holds it. */
const keyed = ({ key, run }: Reservation, now: Date): WriteFragment[] => [
  {
    name: 'settled',
    sql: `update idempotency_records set committed_at = ?::timestamptz, steps = '{}'
      where key = ? and run = ?::uuid and status is null and committed_at is null
        and exists (select 1 from {rotated})`,
    params: [now.toISOString(), key, run],
  },
  fragment('select 1 from {rotated} where not exists (select 1 from {settled})', [], 0),
];

const FAMILY = `
  select ${GRANTEE}, s.refresh_generation::int as generation,
    (extract(epoch from s.refresh_rotated_at) * 1000)::text as rotated_at, s.refresh_client as rotated_by,
    (extract(epoch from s.idle_expires_at) * 1000)::text as idle_expires_at, (${openAt('$2')}) as open
  from sessions s join accounts a on a.id = s.account_id where s.id = $1::uuid`;

type Row = Record<string, string> & { persistent: unknown };

const grantee = (row: Row): Grantee => ({
  accountId: row.account_id as string,
  tier: row.tier as Tier,
  roles: JSON.parse(row.roles as string),
  acr: row.acr as string,
  amr: JSON.parse(row.amr as string),
  authTime: Number(row.auth_time),
  persistent: row.persistent as unknown as boolean,
  expiresAt: Number(row.expires_at),
});

export type RefreshStore = ReturnType<typeof createRefreshStore>;

export function createRefreshStore(db: Database) {
  return {
    /**
     * Spends the presented generation and stores its successor; null, with nothing changed, when it is not current.
     * Fails as stale, likewise, when the run has lost its key.
     */
    async rotate(r: Rotation): Promise<Grantee | null> {
      const parts = [rotation(r), ...(r.reservation ? keyed(r.reservation, r.now) : [])];
      const { rotated } = await db.writes.commit(parts, new Set([r.sessionId]));
      return typeof rotated === 'string' ? grantee(JSON.parse(rotated)) : null;
    },

    /** On the commit lane, so that it sees whatever the rotation it lost to has written. */
    async family(sessionId: string, now: Date): Promise<Family | null> {
      const [row] = await db.writes.unsafe<Row[]>(FAMILY, [sessionId, now.toISOString()], { prepare: true });
      if (!row) return null;
      return {
        ...grantee(row),
        generation: Number(row.generation),
        rotatedAt: Number(row.rotated_at),
        rotatedBy: row.rotated_by ?? null,
        idleExpiresAt: Number(row.idle_expires_at),
        open: row.open as unknown as boolean,
      };
    },
  };
}
