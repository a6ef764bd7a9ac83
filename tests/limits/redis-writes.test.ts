/** What a Redis that answers but takes no writes does to the service: Debian's redis-server as replica pair, full, limited, and as a cluster. */

import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { afterEach, describe, expect, test } from 'vitest';
import { createTestApp } from '../support/app.ts';
import { createDatabase } from '../support/database.ts';
import { failingStart } from '../support/server-process.ts';
import { eventually, hasRedisServer, type PrivateRedis, privateRedis } from './redis-server.ts';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

async function server(...args: string[]): Promise<PrivateRedis & { admin: Redis }> {
  const made = await privateRedis();
  await made.start(...args);
  const admin = new Redis(made.url);
  cleanup.push(() => made.stop());
  cleanup.push(() => admin.disconnect());
  return { ...made, admin };
}

async function appOn(url: string) {
  const app = await createTestApp({ env: { REDIS_URL: url } });
  cleanup.push(() => app.close());
  const health = async () => {
    const { status, body } = await app.call('GET', '/health/ready');
    return { status, state: body.status, redis: body.checks.redis as string, degraded: body.degraded };
  };
  return { app, health };
}

describe.skipIf(!hasRedisServer)('a Redis that takes no writes', () => {
  test.each<
    [
      string,
      (primary: PrivateRedis & { admin: Redis }) => Promise<unknown>,
      RegExp,
      (admin: Redis) => Promise<unknown>,
    ]
  >([
    [
      'a replica',
      ({ admin }) => admin.replicaof('127.0.0.1', 1),
      /^READONLY /,
      (admin) => admin.replicaof('NO', 'ONE'),
    ],
    [
      'one with a full memory',
      ({ admin }) => admin.config('SET', 'maxmemory', '1'),
      /^OOM /,
      (admin) => admin.config('SET', 'maxmemory', '0'),
    ],
    [
      'one without its replicas',
      ({ admin }) => admin.config('SET', 'min-replicas-to-write', '1'),
      /^NOREPLICAS /,
      (admin) => admin.config('SET', 'min-replicas-to-write', '0'),
    ],
    [
      'one whose user may not write',
      ({ admin }) => admin.acl('SETUSER', 'default', '-@write' as never),
      /^NOPERM /,
      (admin) => admin.acl('SETUSER', 'default', '+@all' as never),
    ],
  ])('%s is degraded with the reason, and well again afterwards', async (_what, spoil, reason, mend) => {
    const primary = await server();
    const { health } = await appOn(primary.url);
    await eventually(async () => (await health()).redis === 'ok');
    await spoil(primary);
    const seen = await eventually(async () => {
      const now = await health();
      return reason.test(now.redis) && now;
    });
    expect(seen).toMatchObject({ status: 200, state: 'degraded', degraded: ['redis'] });
    await mend(primary.admin);
    await eventually(async () => (await health()).redis === 'ok', 10_000);
  });

  test('after a failover of a pair, a connection to the old primary is given up for the new one by itself', async () => {
    const [first, second] = [await server(), await server()];
    await second.admin.replicaof('127.0.0.1', first.port);
    // One name that leads to the primary, as a service address does.
    let target = first.port;
    const sockets = new Set<Socket>();
    const name = createServer((socket) => {
      const upstream = connect(target, '127.0.0.1');
      for (const end of [socket, upstream]) sockets.add(end.on('error', () => {}));
      socket.pipe(upstream).pipe(socket);
    }).listen(0, '127.0.0.1');
    await once(name, 'listening');
    cleanup.push(() => {
      for (const socket of sockets) socket.destroy();
      name.close();
    });
    const { app, health } = await appOn(`redis://127.0.0.1:${(name.address() as { port: number }).port}`);
    await eventually(async () => (await health()).redis === 'ok');
    await second.admin.replicaof('NO', 'ONE');
    await first.admin.replicaof('127.0.0.1', second.port);
    target = second.port;
    await eventually(
      async () =>
        (await second.admin.exists('vestibule:limit:probe')) === 1 && (await health()).redis === 'ok',
      15_000,
    );
    const store = app.services.redis;
    await store?.run((client) => client.set('vestibule:limit:after', '1'));
    expect(await second.admin.get('vestibule:limit:after')).toBe('1');
  });

  test('a cluster is refused at start, with the reason', async () => {
    const node = await server('--cluster-enabled', 'yes');
    const database = await createDatabase();
    cleanup.push(() => database.drop());
    const { code, lines } = await failingStart({ DATABASE_URL: database.url, REDIS_URL: node.url });
    expect({ code, last: lines.at(-1) }).toEqual({
      code: 1,
      last: expect.stringMatching(/^REDIS_URL: .*leads to a Redis cluster/),
    });
  });
});

test('a Postgres that has become read-only is not ready', async () => {
  const app = await createTestApp();
  cleanup.push(() => app.close());
  const admin = postgres(app.databaseUrl, { max: 1, onnotice: () => {} });
  cleanup.push(() => admin.end());
  const name = new URL(app.databaseUrl).pathname.slice(1);
  await admin.unsafe(`alter database "${name}" set default_transaction_read_only = on`);
  await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${name} and pid <> pg_backend_pid()`;
  const answer = await eventually(async () => {
    const seen = await app.call('GET', '/health/ready');
    return seen.body.checks.database === 'read-only' ? seen : null;
  }, 15_000);
  expect(answer?.status).toBe(503);
  expect((await app.call('GET', '/health/live')).status).toBe(200);
});
