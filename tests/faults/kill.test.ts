/** The short form of `npm run test:faults`: the service is killed again and again while twenty people sign up. */
import postgres from 'postgres';
import { expect, test } from 'vitest';
import { createDatabase, redisUrl } from '../support/database.ts';
import { FLAWLESS, storm } from './storm.ts';

test('nothing acknowledged is lost to kill -9, and everybody arrives', async () => {
  const database = await createDatabase();
  const redis = redisUrl();
  try {
    const verdict = await storm({
      databaseUrl: database.url,
      ...(redis ? { redisUrl: redis } : {}),
      people: 20,
      concurrency: 4,
      everyMs: 150,
      maxDisturbances: 3,
      disturb: (service) => service.crash(),
    });
    expect(verdict).toMatchObject({ arrived: 20, ...FLAWLESS });
    expect(verdict.disturbances).toBeGreaterThan(0);
    expect(verdict.statuses[500]).toBeUndefined();
  } finally {
    await database.drop();
  }
});

test('connections cut by the database cost a 503 at most', async () => {
  const database = await createDatabase();
  const redis = redisUrl();
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  try {
    const verdict = await storm({
      databaseUrl: database.url,
      ...(redis ? { redisUrl: redis } : {}),
      people: 20,
      concurrency: 4,
      everyMs: 100,
      maxDisturbances: 20,
      disturb: async () => {
        await sql`select pg_terminate_backend(pid) from pg_stat_activity
          where datname = current_database() and application_name = 'vestibule'`;
      },
    });
    expect(verdict).toMatchObject({ arrived: 20, ...FLAWLESS });
    expect(Object.keys(verdict.statuses).filter((s) => Number(s) >= 500 && s !== '503')).toEqual([]);
  } finally {
    await sql.end();
    await database.drop();
  }
});
