/** Finds out what stands between this service and Postgres before anything relies on a session. It changes nothing. */
import type { Sql } from 'postgres';
import { singleConnection } from './single.ts';

/**
 * `session`: a pooler that refuses startup parameters but keeps one server connection per client. `transaction`: one
 * that changes the server connection between statements, so no session state and no prepared statement survives.
 */
export type Pooler = 'none' | 'session' | 'transaction';

const NAME = 'vestibule';
const ROUNDS = 4;
const TIMEOUT_MS = 2987;

/** PgBouncer: 08P01 "unsupported startup parameter". */
const refusesParameters = (error: { code?: string; message?: string }): boolean =>
  error.code === '08P01' && /startup parameter/i.test(error.message ?? '');

const pidOf = async (sql: Sql): Promise<number> => (await sql`select pg_backend_pid() as pid`)[0]?.pid;

/** Two clients in turn: with a connection each, their backends differ and stay. */
async function sharesBackends(url: string): Promise<boolean> {
  const [a, b] = [singleConnection(url, NAME), singleConnection(url, NAME)] as const;
  try {
    const own = await pidOf(a);
    for (let round = 0; round < ROUNDS; round++) {
      if ((await pidOf(b)) === own || (await pidOf(a)) !== own) return true;
    }
    return false;
  } finally {
    await Promise.all([a.end({ timeout: 5 }), b.end({ timeout: 5 })]);
  }
}

async function takesParameters(url: string): Promise<boolean> {
  const sql = singleConnection(url, NAME, { statement_timeout: TIMEOUT_MS });
  try {
    const [row] = await sql`select setting from pg_settings where name = 'statement_timeout'`;
    return Number(row?.setting) === TIMEOUT_MS;
  } catch (error) {
    if (refusesParameters(error as Error)) return false;
    throw error;
  } finally {
    await sql.end({ timeout: 5 });
  }
}

/** @throws what Postgres or the network answers. */
export async function poolerAt(url: string): Promise<Pooler> {
  const takes = await takesParameters(url);
  if (await sharesBackends(url)) return 'transaction';
  return takes ? 'none' : 'session';
}
