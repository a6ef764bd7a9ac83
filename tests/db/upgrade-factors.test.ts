/** A database from before factors were rows: people keep their PIN, stay logged in, and a login under way goes on. */
import { readFileSync } from 'node:fs';
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { MIGRATIONS_FOLDER, migrate } from '../../db/migrate.ts';
import { createTestApp, type TestApp, testSecrets } from '../support/app.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { limitedPerson, PASSWORD, type Person, PIN } from '../support/people.ts';
import { appCode, enrolTotp } from '../support/second-factor.ts';

const secrets = testSecrets();
let database: TestDatabase;
let sql: Sql;
let app: TestApp;
let person: Person;
let waiting: string;

const start = () => createTestApp({ databaseUrl: database.url, secrets });

beforeAll(async () => {
  database = await createDatabase();
  sql = postgres(database.url, { max: 1, onnotice: () => {} });
  const before = await start();
  person = await limitedPerson(before);
  const asked = await before.call('POST', '/v1/auth/login', {
    body: { phone: person.phone, password: PASSWORD, device_fingerprint: 'another-device' },
  });
  expect(asked.body.auth_status).toBe('STEP_UP_REQUIRED');
  waiting = asked.body.flow_token;
  const flowId: string = asked.body.flow_id;
  await before.close();

  // As the version before left it: the tables of its schema, and the login in its own stored form.
  const { entries } = JSON.parse(readFileSync(`${MIGRATIONS_FOLDER}/meta/_journal.json`, 'utf8')) as {
    entries: { tag: string; when: number }[];
  };
  const since = entries.find(({ tag }) => tag.endsWith('_factors'))?.when ?? 0;
  await sql`drop table factors`;
  await sql`alter table sessions drop column downgraded_at`;
  await sql`delete from drizzle.__drizzle_migrations where created_at >= ${since}`;
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

  expect(await migrate(database.url)).toBeGreaterThan(0);
  app = await start();
});
afterAll(async () => {
  await app?.close();
  await sql.end();
  await database.drop();
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
