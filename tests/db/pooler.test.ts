/** The service behind Debian's PgBouncer, in both modes. */
import postgres from 'postgres';
import { afterEach, describe, expect, test } from 'vitest';
import { connectDatabase, type Database } from '../../db/client.ts';
import { migrate } from '../../db/migrate.ts';
import { type Pooler, poolerAt } from '../../db/pooler.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { createDatabase, createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { emailPerson, freshEmail, MAIL_PASSWORD, register } from '../support/mail.ts';
import { hasPgbouncer, pgbouncer } from '../support/pgbouncer.ts';
import { family, startReplica } from '../support/replica.ts';
import { failingStart } from '../support/server-process.ts';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

async function behind(mode: 'session' | 'transaction', made?: TestDatabase, more: string[] = []) {
  const database = made ?? (await createDatabase());
  cleanup.push(() => database.drop());
  const pooler = await pgbouncer(database.url, mode, more);
  cleanup.push(() => pooler.stop());
  return { direct: database.url, url: pooler.url };
}

const settingsOf = (db: Database) =>
  db.reads.execute(
    "select name, setting from pg_settings where name in ('statement_timeout', 'lock_timeout')" as never,
  );

describe.skipIf(!hasPgbouncer)('PgBouncer', () => {
  test.each<[Pooler, string[]]>([
    ['session', []],
    ['transaction', []],
    ['transaction', ['ignore_startup_parameters = statement_timeout']],
    ['transaction', ['server_round_robin = 1']],
  ])('in %s mode is recognised (%j)', async (mode, more) => {
    const { direct, url } = await behind(mode as 'session', undefined, more);
    expect([await poolerAt(direct), await poolerAt(url)]).toEqual(['none', mode]);
  });

  test.each(['session', 'transaction'] as const)(
    'in %s mode takes sign-ups, logins and 50 commits at a time',
    async (mode) => {
      const { url } = await behind(mode);
      const env = { DATABASE_URL: url, ...(mode === 'transaction' ? { DATABASE_POOLER: mode } : {}) };
      const app: TestApp = await createTestApp({ databaseUrl: url, env, pooler: mode });
      cleanup.push(() => app.close());
      expect((await app.call('GET', '/health/ready')).status).toBe(200);
      const people = await Promise.all(Array.from({ length: 5 }, () => emailPerson(app)));
      const logins = await Promise.all(
        people.map(({ email }) =>
          app.call('POST', '/v1/auth/login', { body: { email, password: MAIL_PASSWORD } }),
        ),
      );
      expect(logins.map(({ status }) => status)).toEqual(logins.map(() => 200));
      const commits = await Promise.all(Array.from({ length: 50 }, () => register(app, freshEmail())));
      expect(new Set(commits.map(({ status }) => status))).toEqual(new Set([commits[0]?.status]));
      expect(commits[0]?.status).toBeLessThan(300);
    },
  );

  test('in session mode every connection has the limits that a direct one is greeted with', async () => {
    const { direct, url } = await behind('session');
    const seen: unknown[] = [];
    for (const [address, pooler] of [
      [direct, 'none'],
      [url, 'session'],
    ] as const) {
      const db = connectDatabase({ url: address, poolSize: 2, pooler });
      seen.push([...(await settingsOf(db))]);
      seen.push(await db.transaction(async (tx) => [...(await tx`show statement_timeout`)]));
      await db.close();
    }
    expect(seen.slice(2)).toEqual(seen.slice(0, 2));
    expect(seen[2]).toContainEqual({ name: 'statement_timeout', setting: '3000' });
  });

  test('in transaction mode a slow statement of a transaction is still given up by the server', async () => {
    const { url } = await behind('transaction');
    const db = connectDatabase({ url, poolSize: 1, pooler: 'transaction', statementTimeoutMs: 200 });
    cleanup.push(() => db.close());
    await expect(db.transaction((tx) => tx`select pg_sleep(20)`)).rejects.toMatchObject({ code: '57014' });
    // The setting ended with the transaction: other clients of the pooler do not inherit it.
    const other = postgres(url, { max: 1, prepare: false });
    cleanup.push(() => other.end());
    expect((await other`show statement_timeout`)[0]).toEqual({ statement_timeout: '0' });
  });

  test('in transaction mode a start without the setting names it and ends', async () => {
    const { url } = await behind('transaction');
    expect(await failingStart({ DATABASE_URL: url })).toEqual({
      code: 1,
      lines: [expect.stringMatching(/^DATABASE_URL: .*transaction mode: set DATABASE_POOLER=transaction/)],
    });
  });

  test('in transaction mode the migrate command without the setting names it and changes nothing', async () => {
    const { direct, url } = await behind('transaction', await createEmptyDatabase());
    expect(await failingStart({ DATABASE_URL: url }, 'migrate')).toEqual({
      code: 1,
      lines: [expect.stringMatching(/^DATABASE_URL: .*transaction mode: set DATABASE_POOLER=transaction/)],
    });
    expect(await migrate(direct)).toBeGreaterThan(0);
  }, 60_000);

  test('in transaction mode pending migrations need DATABASE_DIRECT_URL, and run there', async () => {
    const { direct, url } = await behind('transaction', await createEmptyDatabase());
    const env = { DATABASE_URL: url, DATABASE_POOLER: 'transaction' };
    expect(await failingStart(env)).toEqual({
      code: 1,
      lines: [expect.stringMatching(/^DATABASE_DIRECT_URL: is needed for \d+ pending migrations/)],
    });
    const shared = family();
    cleanup.push(shared.remove);
    const replica = await startReplica({
      databaseUrl: url,
      family: shared,
      env: { DATABASE_POOLER: 'transaction', DATABASE_DIRECT_URL: direct },
    });
    await replica.stop();
    expect(await migrate(direct)).toBe(0);
  });

  test('in session mode a start needs no setting and migrates through the pooler', async () => {
    const { direct, url } = await behind('session', await createEmptyDatabase());
    const shared = family();
    cleanup.push(shared.remove);
    const replica = await startReplica({ databaseUrl: url, family: shared });
    expect((await replica.call('GET', '/health/ready')).status).toBe(200);
    await replica.stop();
    expect(await migrate(direct)).toBe(0);
  });
});
