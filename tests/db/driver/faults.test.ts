/** Each fault of the driver with its workaround, and without it where that can be shown: then the fault is still there. */
import postgres, { type Sql } from 'postgres';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { connectDatabase } from '../../../db/client.ts';
import { isOutage } from '../../../db/driver/outage.ts';
import { longGreeting } from '../../../db/driver/stuck-greeting.ts';
import { closingClean } from '../../../db/driver/unsettled-close.ts';
import { createEmptyDatabase, type TestDatabase } from '../../support/database.ts';
import { breakable, outcome } from './sockets.ts';

let database: TestDatabase;
let admin: Sql;
const open: Sql[] = [];
beforeAll(async () => {
  database = await createEmptyDatabase();
  admin = postgres(database.url, { max: 1, onnotice: () => {} });
  await admin`create table written (who text)`;
});
afterEach(async () => {
  await Promise.all(open.splice(0).map((sql) => sql.end({ timeout: 0 })));
});
afterAll(async () => {
  await admin.end();
  await database.drop();
});

const connection = { statement_timeout: longGreeting(3000) };

/** A connection that was in use breaks while a write is pending. What the next statement answers. */
async function afterBreakWhileWriting(...options: [Parameters<typeof breakable>[1]?]) {
  const broken = breakable(database.url, ...options);
  open.push(broken.sql);
  await broken.sql`select 1`;
  await broken.break(null, () => void broken.sql`select 1`.catch(() => {}));
  return broken.sql`select 2 as two`;
}

test('after a break with a write pending the next connection greets the server', async () => {
  expect([...(await afterBreakWhileWriting({ connection }))]).toEqual([{ two: 2 }]);
});

test('the driver alone still needs the long greeting', async () => {
  await expect(afterBreakWhileWriting()).rejects.toMatchObject({ code: 'CONNECT_TIMEOUT' });
});

/** A statement is sent between the error of a connection and its close. What has become of it when a later one is answered. */
async function sentBetweenErrorAndClose(options: Parameters<typeof breakable>[1]) {
  const broken = breakable(database.url, { connection, ...options });
  open.push(broken.sql);
  await broken.sql`select 1`;
  let seen: ReturnType<typeof outcome> = { state: 'pending' };
  await broken.break(new Error('reset'), () => {
    seen = outcome(broken.sql`select 'early'`);
  });
  const late = outcome(broken.sql`select 'late'`);
  await expect.poll(() => seen.state !== 'pending' || late.state !== 'pending').toBe(true);
  return seen.state;
}

test('a statement sent between an error and the close of its connection fails at once', async () => {
  expect(await sentBetweenErrorAndClose({ wrap: closingClean })).toBe('rejected');
});

test('the driver alone still does not settle it', async () => {
  expect(await sentBetweenErrorAndClose({})).not.toBe('rejected');
});

test('a transaction whose connection is lost writes nothing more, rolls back, and its connection comes back', async () => {
  const db = connectDatabase({ url: database.url, poolSize: 1 });
  const next = () =>
    db
      .transaction((tx) => tx.unsafe("insert into written values ('next')"))
      .then(() => 'written')
      .catch((error) => isOutage(error));
  const { promise: reused, resolve: goOn } = Promise.withResolvers<void>();
  const { promise: late, resolve: answered } = Promise.withResolvers<unknown>();
  try {
    const lost = db.transaction(async (tx) => {
      await tx.unsafe("insert into written values ('lost')");
      const [row] = await tx.unsafe('select pg_backend_pid() as pid');
      const cut = tx.unsafe('select pg_sleep(2)').catch((error) => error);
      await admin`select pg_terminate_backend(${row?.pid})`;
      const error = await cut;
      await reused;
      const send = async () => tx.unsafe("insert into written values ('too late')");
      await send().then(answered, answered);
      throw error;
    });
    await expect(lost).rejects.toSatisfy(isOutage);
    await expect.poll(next).toBe('written');
    goOn();
    expect(await late).toSatisfy(isOutage);
    expect([...(await admin`select who from written`)]).toEqual([{ who: 'next' }]);
  } finally {
    await db.close();
  }
});

// An uncaught exception ends the process: the test runner reports it as a failure of this file.
test('a transaction that fails by the loss of its connection does not end the process', async () => {
  const db = connectDatabase({ url: database.url, poolSize: 1 });
  const lost = db.transaction(async (tx) => {
    const [row] = await tx.unsafe('select pg_backend_pid() as pid');
    await Promise.all([tx.unsafe('select pg_sleep(2)'), admin`select pg_terminate_backend(${row?.pid})`]);
  });
  await expect(lost).rejects.toSatisfy(isOutage);
  await expect.poll(() => db.ping().then(() => true)).toBe(true);
  await db.close();
});
