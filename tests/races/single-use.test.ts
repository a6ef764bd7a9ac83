/** Two processes, real sockets: a link and an idempotency key are used once, however many try at once. */
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { createDatabase, redisUrl, type TestDatabase } from '../support/database.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { freshEmail, MAIL_PASSWORD } from '../support/mail.ts';
import { codes, newPerson, PASSWORD } from '../support/person.ts';
import { type Answer, type Family, family, type Replica, startReplica } from '../support/replica.ts';
import { signUpTo } from '../support/sign-up.ts';

let database: TestDatabase;
let shared: Family;
let replicas: [Replica, Replica];
let sql: Sql;

beforeAll(async () => {
  database = await createDatabase();
  shared = family();
  sql = postgres(database.url, { max: 2, onnotice: () => {} });
  const env = {
    ...LIMITS_OFF,
    PUBLIC_URL: 'http://id.example.com',
  };
  const options = {
    databaseUrl: database.url,
    redisUrl: redisUrl(),
    family: shared,
    env,
  };
  replicas = await Promise.all([startReplica(options), startReplica(options)]);
});
afterAll(async () => {
  await Promise.all((replicas ?? []).map((replica) => replica.kill()));
  await sql.end();
  await database.drop();
  shared.remove();
});

const atOnce = (n: number, path: string, request: (i: number) => object): Promise<Answer[]> =>
  Promise.all(Array.from({ length: n }, (_, i) => replicas[i % 2]!.call('POST', path, request(i))));

async function account(): Promise<{ email: string; userId: string }> {
  const email = freshEmail();
  const { body } = await replicas[0].call('POST', '/v1/auth/register', {
    body: { email, password: MAIL_PASSWORD, name: 'Ada Byron' },
  });
  const code = codes(shared.secrets.masterKey)(body.flow_id, 'email');
  await replicas[0].call('POST', '/v1/auth/verify-email', { body: { flow_token: body.flow_token, code } });
  return { email, userId: body.user_id };
}

test('one reset link used 50 times at once sets one password', async () => {
  const { email, userId } = await account();
  await replicas[0].call('POST', '/v1/auth/password/reset-request', { body: { email } });
  const [flow] =
    await sql`select id, token_generation from flows where machine = 'recovery' and account_id = ${userId}`;
  const token = createKeyring(shared.secrets.masterKey).flowTokenFor(
    flow!.id,
    Number(flow!.token_generation),
  );
  const answers = await atOnce(50, '/v1/auth/password/reset', (i) => ({
    body: { token, new_password: `Parallel-Secret#${i}xyz` },
  }));
  const won = answers.flatMap((a, i) => (a.status === 200 ? [i] : []));
  expect(won).toHaveLength(1);
  expect(answers.every((a) => [200, 400, 409, 503].includes(a.status))).toBe(true);
  const [row] = await sql`select count(*)::int as n from outbox
    where account_id = ${userId} and payload->>'type' = 'password.reset_completed'`;
  expect(row).toEqual({ n: 1 });
  const login = await replicas[1].call('POST', '/v1/auth/login', {
    body: { email, password: `Parallel-Secret#${won[0]}xyz` },
  });
  expect(login.status).toBe(200);
});

test('one link that undoes a change of contacts, used 50 times at once, undoes it once', async () => {
  const codeOf = codes(shared.secrets.masterKey);
  const { email, userId } = await account();
  const { body } = await replicas[0].call('POST', '/v1/auth/login', {
    body: { email, password: MAIL_PASSWORD, token_transport: 'body' },
  });
  const token = body.access_token;
  const evil = freshEmail();
  const started = await replicas[0].call('POST', '/v1/users/me/contacts', {
    token,
    body: { type: 'email', value: evil, current_password: MAIL_PASSWORD },
  });
  const proof = { flow_token: started.body.flow_token, code: codeOf(started.body.flow_id, 'contact') };
  await replicas[0].call('POST', '/v1/users/me/contacts/verify', { token, body: proof });
  const [flow] =
    await sql`select id, token_generation from flows where machine = 'contact_change' and account_id = ${userId}`;
  const link = createKeyring(shared.secrets.masterKey).flowTokenFor(flow!.id, Number(flow!.token_generation));
  const answers = await atOnce(50, '/v1/auth/contact-change/undo', () => ({ body: { token: link } }));
  expect(answers.filter((a) => a.status === 200)).toHaveLength(1);
  expect(answers.every((a) => [200, 400, 503].includes(a.status))).toBe(true);
  const [row] = await sql`select
    (select count(*)::int from outbox where account_id = ${userId} and payload->>'type' = 'contact.change_undone') as told,
    (select count(*)::int from audit_events where account_id = ${userId} and type = 'contact.change_undone') as audited,
    (select count(*)::int from sessions where account_id = ${userId} and revoked_at is null) as signed_in,
    (select count(*)::int from outbox where account_id = ${userId} and payload->>'type' = 'session.revoked') as ended,
    (select array_agg(canonical) from contacts where account_id = ${userId}) as contacts`;
  expect(row).toMatchObject({ told: 1, audited: 1, signed_in: 0, contacts: [email] });
  const [sessions] = await sql`select count(*)::int as n from sessions where account_id = ${userId}`;
  expect(row!.ended).toBe(sessions!.n);
});

test('one idempotency key used 50 times at once opens one registration, and tells everybody the same', async () => {
  const email = freshEmail();
  const body = { email, password: MAIL_PASSWORD, name: 'Ada Byron' };
  const headers = { 'idempotency-key': `race-${email}` };
  const answers = await atOnce(50, '/v1/auth/register', () => ({ body, headers }));
  expect(answers.every((a) => [201, 409].includes(a.status))).toBe(true);
  const told = new Set(answers.filter((a) => a.status === 201).map((a) => JSON.stringify(a.body)));
  expect(told.size).toBe(1);
  const later = await replicas[1].call('POST', '/v1/auth/register', { body, headers });
  expect(told.has(JSON.stringify(later.body))).toBe(true);
  const rows =
    await sql`select 1 from flows f join contacts c on c.id = f.contact_id where c.canonical = ${email}`;
  expect(rows).toHaveLength(1);
});

test('one key used 50 times at once by one person with two access tokens opens one flow, and tells everybody its token', async () => {
  const codeOf = codes(shared.secrets.masterKey);
  const { access, refresh } = await signUpTo(
    newPerson((...args) => replicas[0].call(...args), codeOf),
    'LIMITED',
  );
  const renewed = await replicas[1].call('POST', '/v1/auth/refresh', { body: { refresh_token: refresh } });
  const tokens = [access, renewed.body.access_token];
  const email = freshEmail();
  const request = (i: number) => ({
    body: { type: 'email', value: email, current_password: PASSWORD },
    headers: { 'idempotency-key': `race-${email}` },
    token: tokens[i % 3 ? 0 : 1],
  });
  const answers = await atOnce(50, '/v1/users/me/contacts', request);
  expect(answers.every((a) => [202, 409].includes(a.status))).toBe(true);
  const later = await replicas[1].call('POST', '/v1/users/me/contacts', request(0));
  const told = new Set([...answers, later].filter((a) => a.status === 202).map((a) => a.body.flow_token));
  expect([...told]).toEqual([expect.stringMatching(/^[\w-]{22}\.[\w-]{43}$/)]);
  const rows =
    await sql`select 1 from flows f join contacts c on c.id = f.contact_id where c.canonical = ${email}`;
  expect(rows).toHaveLength(1);
});

test('one key used 50 times at once for the last step of a sign-up opens one session, and tells everybody its tokens', async () => {
  const codeOf = codes(shared.secrets.masterKey);
  const { flowToken } = await signUpTo(
    newPerson((...args) => replicas[0].call(...args), codeOf),
    'credentials_set',
  );
  const request = () => ({
    body: { first_name: 'Ada', last_name: 'Byron', date_of_birth: '1990-12-10' },
    headers: { 'idempotency-key': `race-${flowToken}` },
    token: flowToken,
  });
  const answers = await atOnce(50, '/v1/auth/signup/profile', request);
  expect(answers.every((a) => [200, 409].includes(a.status))).toBe(true);
  const later = await replicas[1].call('POST', '/v1/auth/signup/profile', request());
  const told = [...answers, later].filter((a) => a.status === 200).map((a) => a.body);
  expect(new Set(told.map((body) => JSON.stringify(body))).size).toBe(1);
  expect(await sql`select 1 from sessions where account_id = ${told[0].user_id}`).toHaveLength(1);
});
