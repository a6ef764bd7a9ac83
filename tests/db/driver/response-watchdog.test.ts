/** A Postgres that accepts and says nothing: every wait ends in bounded time, and nothing is used up by it. */
import { setTimeout as delay } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { connectDatabase, type Database } from '../../../db/client.ts';
import { isOutage } from '../../../db/driver/outage.ts';
import { type Proxy as TcpProxy, tcpProxy } from '../../faults/proxy.ts';
import { createDatabase, type TestDatabase } from '../../support/database.ts';

const POOL = 3;
let database: TestDatabase;
let proxy: TcpProxy;
let db: Database;
beforeAll(async () => {
  database = await createDatabase();
  const url = new URL(database.url);
  proxy = await tcpProxy(Number(url.port || 5432));
  url.hostname = '127.0.0.1';
  url.port = String(proxy.port);
  db = connectDatabase({ url: url.href, poolSize: POOL });
});
afterAll(async () => {
  await db.close();
  await proxy.close();
  await database.drop();
});

const write = () => db.writes.unsafe('select 1', [], { prepare: true }) as PromiseLike<unknown>;
const transaction = (inside = async () => {}) =>
  db.transaction(async (tx) => {
    await tx.unsafe('select 1');
    await inside();
    return tx.unsafe('select 2');
  });
/** Twice as many of each as there are connections. */
const everything = () => Array.from({ length: POOL * 2 }, () => [db.ping(), write(), transaction()]).flat();

/** How each ended, and when the last did. */
async function outcomes(work: PromiseLike<unknown>[]) {
  const began = performance.now();
  const ended = await Promise.allSettled(work);
  const errors = ended.flatMap((one) => (one.status === 'rejected' ? [one.reason] : []));
  return { errors, all: ended.length, ms: performance.now() - began };
}

async function heals() {
  proxy.resume();
  const end = performance.now() + 5000;
  for (;;) {
    const { errors } = await outcomes(everything());
    if (errors.length === 0) return;
    if (performance.now() > end) throw errors[0];
    await delay(50);
  }
}

test('statements and transactions end as an outage within 6 s, and the connections come back', async () => {
  expect((await outcomes(everything())).errors).toEqual([]);
  for (let time = 0; time < 2; time++) {
    proxy.stall();
    const { errors, all, ms } = await outcomes(everything());
    expect(errors).toHaveLength(all);
    expect(errors.filter((error) => !isOutage(error))).toEqual([]);
    expect(ms).toBeLessThan(6000);
    await heals();
  }
});

test('what readiness asks ends likewise while nothing else is sent', async () => {
  const readiness = () => [db.now(), db.readOnly(), db.pendingMigrations()];
  expect((await outcomes(readiness())).errors).toEqual([]);
  proxy.stall();
  const { errors, ms } = await outcomes(readiness());
  expect(errors.map(isOutage)).toEqual([true, true, true]);
  expect(ms).toBeLessThan(6000);
  await heals();
});

test('a transaction caught in its middle ends likewise', async () => {
  const stall = async () => proxy.stall();
  const { errors, all, ms } = await outcomes(Array.from({ length: POOL }, () => transaction(stall)));
  expect(errors).toHaveLength(all);
  expect(errors.filter((error) => !isOutage(error))).toEqual([]);
  expect(ms).toBeLessThan(6000);
  await heals();
});

test('a slow statement is given up by the server, not by the silence', async () => {
  const slow = db.writes.unsafe('select pg_sleep(30)', [], { prepare: true });
  await expect(slow).rejects.toMatchObject({ code: '57014' });
  expect((await outcomes(everything())).errors).toEqual([]);
});
