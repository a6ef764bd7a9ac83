/** Starts with roles that may do less than own the database: what suffices, and what the message says when it does not. */
import { randomBytes } from 'node:crypto';
import postgres, { type Sql } from 'postgres';
import { afterEach, expect, inject, test } from 'vitest';
import { createDatabase, createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { family, startReplica } from '../support/replica.ts';
import { failingStart } from '../support/server-process.ts';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

/** A role that may connect and nothing else, and a connection of the owner to give it more. */
async function roleOn(database: TestDatabase): Promise<{ role: string; url: string; owner: Sql }> {
  cleanup.push(() => database.drop());
  const role = `role_${randomBytes(6).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  const owner = postgres(database.url, { max: 1, onnotice: () => {} });
  const admin = postgres(inject('adminUrl'), { max: 1, onnotice: () => {} });
  await admin.unsafe(`create role ${role} login password '${password}'`);
  cleanup.push(async () => {
    await owner.unsafe(`drop owned by ${role}`);
    await owner.end();
    await admin.unsafe(`drop role ${role}`);
    await admin.end();
  });
  const url = new URL(database.url);
  url.username = role;
  url.password = password;
  return { role, url: url.href, owner };
}

test('with nothing pending, a role with data rights only starts and is ready', async () => {
  const { role, url, owner } = await roleOn(await createDatabase());
  for (const schema of ['public', 'drizzle']) {
    await owner.unsafe(`grant usage on schema ${schema} to ${role}`);
    await owner.unsafe(`grant select, insert, update, delete on all tables in schema ${schema} to ${role}`);
    await owner.unsafe(`grant usage on all sequences in schema ${schema} to ${role}`);
  }
  const shared = family();
  cleanup.push(shared.remove);
  const replica = await startReplica({ databaseUrl: url, family: shared });
  const registered = await replica.call('POST', '/v1/auth/register', {
    body: { email: 'ada@example.com', password: 'Correct-Horse-77', name: 'Ada Byron' },
  });
  await replica.stop();
  expect(registered.status).toBeLessThan(300);
});

test.each([
  [
    'an empty database',
    createEmptyDatabase,
    /^DATABASE_URL: .*the right CREATE on database \w+: Postgres says "permission denied for database .*42501.*statement: CREATE SCHEMA/,
  ],
  [
    'a migrated one',
    createDatabase,
    /^DATABASE_URL: .*the right USAGE on schema drizzle: Postgres says "permission denied for schema drizzle/,
  ],
])('on %s a role without rights is told which right, variable and statement', async (_what, create, line) => {
  const { url } = await roleOn(await create());
  const { code, lines } = await failingStart({ DATABASE_URL: url });
  expect({ code, lines }).toEqual({ code: 1, lines: [expect.stringMatching(line)] });
  expect(lines.join()).not.toContain('Failed query');
});

test('what else goes wrong in a migration is said in the words of Postgres', async () => {
  const { role, url, owner } = await roleOn(await createEmptyDatabase());
  await owner.unsafe(`grant create on database "${new URL(url).pathname.slice(1)}" to ${role}`);
  await owner.unsafe(`grant create on schema public to ${role}`);
  await owner.unsafe('create table accounts (id integer)');
  const { code, lines } = await failingStart({ DATABASE_URL: url });
  expect(code).toBe(1);
  expect(lines).toEqual([
    expect.stringMatching(/^DATABASE_URL: cannot be used: relation "accounts" already exists/),
  ]);
});
