/** A database from before factors were rows: people keep their PIN, stay logged in, and a login under way goes on. */
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIGRATIONS_FOLDER, migrate } from '../../db/migrate.ts';
import { createTestApp, type TestApp, testSecrets } from '../support/app.ts';
import { createDatabase, createEmptyDatabase, type TestDatabase } from '../support/database.ts';
import { limitedPerson, PASSWORD, type Person, PIN } from '../support/people.ts';
import { appCode, enrolTotp } from '../support/second-factor.ts';

const secrets = testSecrets();
let newest: TestDatabase;
let database: TestDatabase;
let folder: string;
let sql: Sql;
let app: TestApp;
let person: Person;
let waiting: string;

const start = () => createTestApp({ databaseUrl: database.url, secrets });

beforeAll(async () => {
  [newest, database] = await Promise.all([createDatabase(), createEmptyDatabase()]);
  const later = postgres(newest.url, { max: 1, onnotice: () => {} });
  const before = await createTestApp({ databaseUrl: newest.url, secrets });
  person = await limitedPerson(before);
  const asked = await before.call('POST', '/v1/auth/login', {
    body: { phone: person.phone, password: PASSWORD, device_fingerprint: 'another-device' },
  });
  expect(asked.body.auth_status).toBe('STEP_UP_REQUIRED');
  waiting = asked.body.flow_token;
  const flowId: string = asked.body.flow_id;
  await before.close();

  // As the version before left it: its schema with these rows, and the login in its own stored form.
  folder = mkdtempSync(join(tmpdir(), 'vestibule-before-factors-'));
  cpSync(MIGRATIONS_FOLDER, folder, { recursive: true });
  const journal = join(folder, 'meta/_journal.json');
  const known = JSON.parse(readFileSync(journal, 'utf8')) as { entries: { tag: string }[] };
  const first = known.entries.findIndex(({ tag }) => tag.endsWith('_factors'));
  writeFileSync(journal, JSON.stringify({ ...known, entries: known.entries.slice(0, first) }));
  await migrate(database.url, { folder });
  sql = postgres(database.url, { max: 1, onnotice: () => {} });
  await sql`set session_replication_role = replica`;
  const tables = await sql<{ name: string }[]>`
    select table_name as name from information_schema.tables
    where table_schema = 'public' and table_type = 'BASE TABLE'`;
  for (const { name } of tables)
    for (const { row } of await later`select to_jsonb(t) as row from ${later(name)} t`)
      await sql`insert into ${sql(name)} select (jsonb_populate_record(null::${sql(name)}, ${sql.json(row)})).*
        on conflict do nothing`;
  await sql`set session_replication_role = origin`;
  const [flow] = await sql<{ snapshot: { context: Record<string, unknown> } }[]>`
    select snapshot from flows where id = ${flowId}`;
  const { firstProof: _proof, ...context } = flow?.snapshot.context ?? {};
  const { mfa: _mfa, ...subject } = context.subject as Record<string, unknown>;
  Object.assign(context, {
    subject: { ...subject, factors: ['pin'], mandatory: [] },
    required: ['pin'],
    satisfied: [],
  });
  const stored = { ...flow?.snapshot, context };
  await sql`update flows set machine_version = 2, snapshot = ${sql.json(stored as never)} where id = ${flowId}`;

  await later.end();
  expect(await migrate(database.url)).toBeGreaterThan(0);
  app = await start();
});
afterAll(async () => {
  await app?.close();
  await sql.end();
  await Promise.all([database.drop(), newest.drop()]);
  rmSync(folder, { recursive: true, force: true });
});

test('a session that was open goes on, and its refresh token works', async () => {
  const me = await app.call('GET', '/v1/users/me', { token: person.accessToken });
  expect(me).toMatchObject({ status: 200, body: { mfa_enabled: false, pin_set: true } });
  const renewed = await app.call('POST', '/v1/auth/refresh', {
    body: { refresh_token: person.refreshToken },
  });
  expect(renewed.status).toBe(200);
});

test('the login that waited for its PIN takes a wrong one, then the right one', async () => {
  const answer = (pin: string) =>
    app.call('POST', '/v1/auth/login/step-up', { body: { flow_token: waiting, pin } });
  expect((await answer('999111')).status).toBe(401);
  expect((await answer(PIN)).body).toMatchObject({ auth_status: 'AUTHENTICATED', user_id: person.userId });
});

test('the same person enrols an app', async () => {
  const login = await app.call('POST', '/v1/auth/login', {
    body: { phone: person.phone, password: PASSWORD, device_fingerprint: 'device-one' },
  });
  const { secret } = await enrolTotp(app, login.body.access_token);
  app.clock.advance(30_000);
  const asked = await app.call('POST', '/v1/auth/login', {
    body: { phone: person.phone, password: PASSWORD },
  });
  const body = { session_token: asked.body.session_token, code: appCode(app, secret) };
  expect((await app.call('POST', '/v1/auth/mfa/verify', { body })).status).toBe(200);
});
