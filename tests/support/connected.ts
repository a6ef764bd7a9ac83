/** A database for one test file, with the service's connections to it and the test's own beside them. */
import postgres, { type Sql } from 'postgres';
import { connectDatabase, type Database } from '../../db/client.ts';
import type { TestDatabase } from './database.ts';

export type Connected = { db: Database; sql: Sql; close(): Promise<void> };

/** Call in `beforeAll`, and `close` in `afterAll`: it drops the database too. */
export async function connected(created: Promise<TestDatabase>, poolSize = 2): Promise<Connected> {
  const { url, drop } = await created;
  const db = connectDatabase({ url, poolSize });
  const sql = postgres(url, { max: 3, onnotice: () => {} });
  return {
    db,
    sql,
    async close() {
      await db.close();
      await sql.end();
      await drop();
    },
  };
}
