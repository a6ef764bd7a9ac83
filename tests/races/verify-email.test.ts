/** Two processes, real sockets: one code is one effect, and one window of wrong passwords is one window. */
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createDatabase, redisUrl, type TestDatabase } from '../support/database.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { freshEmail, MAIL_PASSWORD } from '../support/mail.ts';
import { type Codes, codes } from '../support/person.ts';
import { type Answer, type Family, family, type Replica, startReplica } from '../support/replica.ts';

let database: TestDatabase;
let shared: Family;
let replicas: [Replica, Replica];
let sql: Sql;
let codeOf: Codes;

beforeAll(async () => {
  database = await createDatabase();
  shared = family();
  codeOf = codes(shared.secrets.masterKey);
  sql = postgres(database.url, { max: 2, onnotice: () => {} });
  const env = { ...LIMITS_OFF, LIMIT_PASSWORD_LOGIN: '5/15m', PUBLIC_URL: 'http://id.example.com' };
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

const atOnce = (n: number, path: string, body: (i: number) => object): Promise<Answer[]> =>
  Promise.all(Array.from({ length: n }, (_, i) => replicas[i % 2]!.call('POST', path, { body: body(i) })));
const register = async (email: string) =>
  (
    await replicas[0].call('POST', '/v1/auth/register', {
      body: { email, password: MAIL_PASSWORD, name: 'Ada Byron' },
    })
  ).body as { user_id: string; flow_id: string; flow_token: string };

test.each(['with the token', 'naming the account'])(
  'the right code 50 times at once, %s, opens one account and one session',
  async (way) => {
    const email = freshEmail();
    const { user_id, flow_id, flow_token } = await register(email);
    const code = codeOf(flow_id, 'email');
    const who = way === 'with the token' ? { flow_token } : { user_id };
    const answers = await atOnce(50, '/v1/auth/verify-email', () => ({ ...who, code }));
    expect(answers.filter((a) => a.status === 200)).toHaveLength(1);
    expect(answers.every((a) => [200, 400, 401, 409, 429].includes(a.status))).toBe(true);
    const [row] = await sql`
      select (select count(*)::int from sessions where account_id = ${user_id}) as sessions,
        (select count(*)::int from outbox where topic = 'mail.send' and flow_id = ${flow_id}) as welcomes,
        (select tier from accounts where id = ${user_id}) as tier`;
    expect(row).toEqual({ sessions: 1, welcomes: 1, tier: 'LIMITED' });
  },
);

test('two registrations of one address verified at once end in one owner', async () => {
  const email = freshEmail();
  const both = [await register(email), await register(email)];
  const answers = await atOnce(20, '/v1/auth/verify-email', (i) => {
    const { flow_token, flow_id } = both[Math.floor(i / 2) % 2]!;
    return { flow_token, code: codeOf(flow_id, 'email') };
  });
  expect(answers.filter((a) => a.body.access_token)).toHaveLength(1);
  const tiers =
    await sql`select tier from accounts where id in ${sql(both.map((b) => b.user_id))} order by tier`;
  expect(tiers.map((t) => t.tier)).toEqual(['LIMITED', 'UNVERIFIED']);
});

test('100 wrong passwords at once get five answers, and the right one after them is refused', async () => {
  const email = freshEmail();
  const { flow_id, flow_token } = await register(email);
  await replicas[0].call('POST', '/v1/auth/verify-email', {
    body: { flow_token, code: codeOf(flow_id, 'email') },
  });
  const answers = await atOnce(100, '/v1/auth/login', () => ({ email, password: 'Wrong-Horse-77!' }));
  expect(answers.filter((a) => a.status === 401)).toHaveLength(5);
  expect(answers.every((a) => [401, 429, 503].includes(a.status))).toBe(true);
  const right = await replicas[1].call('POST', '/v1/auth/login', {
    body: { email, password: MAIL_PASSWORD },
  });
  expect(right.status).toBe(429);
});

test('the right password 20 times at once opens a session each time', async () => {
  const email = freshEmail();
  const { flow_id, flow_token, user_id } = await register(email);
  await replicas[0].call('POST', '/v1/auth/verify-email', {
    body: { flow_token, code: codeOf(flow_id, 'email') },
  });
  const answers = await atOnce(20, '/v1/auth/login', () => ({ email, password: MAIL_PASSWORD }));
  expect(answers.map((a) => a.status)).toEqual(Array(20).fill(200));
  const [row] = await sql`select count(*)::int as n from sessions where account_id = ${user_id}`;
  expect(row?.n).toBe(21);
});
