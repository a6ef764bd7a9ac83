/** A start that cannot succeed: one line naming the variable, and a non-zero exit. In processes of their own. */
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { expect, test } from 'vitest';
import { createDatabase } from './support/database.ts';
import { failingStart, startServerProcess } from './support/server-process.ts';

test.each([
  [{ PORT: 'abc' }, /^PORT: must be a whole number/],
  [{ DATABASE_URL: 'postgres://user:hunter2@127.0.0.1:1/x' }, /^DATABASE_URL: .* ECONNREFUSED$/],
  [{ DATA_DIR: '/dev/null/data' }, /^DATA_DIR: cannot be used: ENOTDIR/],
])('%o is one line naming the variable', async (env, line) => {
  const { code, lines } = await failingStart(env as Record<string, string>);
  expect(lines).toEqual([expect.stringMatching(line)]);
  expect(lines.join()).not.toContain('hunter2');
  expect(code).toBe(1);
});

test('all mistakes of the configuration are reported by one start, one line each', async () => {
  const { code, lines } = await failingStart({ NODE_ENV: 'production', PORT: 'abc', HASH_ITERATIONS: '1' });
  expect(code).toBe(1);
  expect(lines.map((line) => line.split(':')[0])).toEqual([
    'PORT',
    'DATABASE_URL',
    'REDIS_URL',
    'MASTER_KEY',
    'PASSWORD_PEPPER',
    'SECRET_KEY',
    'SMS_ADAPTER',
    'MAIL_ADAPTER',
    'KYC_ADAPTER',
    'PUBLIC_URL',
    'HASH_ITERATIONS',
  ]);
});

test('an address that cannot be used is named, and so are a foreign key and a database that does not let us in', async () => {
  const database = await createDatabase();
  const masterKey = randomBytes(32).toString('hex');
  const taken = createServer().listen(0, '127.0.0.1');
  await once(taken, 'listening');
  const { port } = taken.address() as { port: number };
  const missing = new URL(database.url);
  missing.pathname = '/no_such_database';
  const results = [
    await failingStart({ DATABASE_URL: database.url, PORT: String(port), MASTER_KEY: masterKey }),
    await failingStart({ DATABASE_URL: database.url, HOST: '192.0.2.1', MASTER_KEY: masterKey }),
    await failingStart({ DATABASE_URL: database.url }),
    await failingStart({ DATABASE_URL: missing.href }),
  ];
  taken.close();
  await database.drop();
  expect(results).toEqual([
    { code: 1, lines: [`PORT: ${port} is already in use on 127.0.0.1`] },
    { code: 1, lines: ['HOST: is not an address of this machine'] },
    { code: 1, lines: [expect.stringMatching(/^MASTER_KEY: is not the key this database/)] },
    { code: 1, lines: [expect.stringMatching(/^DATABASE_URL: .* 3D000$/)] },
  ]);
});

test('in production format the start is JSON lines only', async () => {
  const database = await createDatabase();
  const running = await startServerProcess({ DATABASE_URL: database.url, LOG_FORMAT: 'json' });
  await fetch(`${running.url}/health/live?token=secret`);
  await running.stop();
  await database.drop();
  const lines = running
    .output()
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines).toContainEqual(expect.objectContaining({ msg: 'ready', url: running.url }));
  expect(lines).toContainEqual(expect.objectContaining({ route: '/health/live', status: 200 }));
  expect(running.output()).not.toContain('secret');
});

test('what is set but changes nothing is named at start, without its value', async () => {
  const env = {
    JWT_SIGNING_KEY_ID: 'key-001',
    PASSWORD_BCRYPT_COST: '12',
    GOOGLE_OAUTH_CLIENT_ID: 'id',
    DATABASE_URL: 'postgres://127.0.0.1:1/x',
  };
  const { lines } = await failingStart(env);
  expect(lines[0]).toBe(
    'Set, but without effect: PASSWORD_BCRYPT_COST, JWT_SIGNING_KEY_ID, GOOGLE_OAUTH_CLIENT_ID',
  );
  expect(lines.join()).not.toContain('key-001');
});
