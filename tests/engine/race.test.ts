/** Two processes, one database, real sockets: whatever arrives at once has exactly one effect. */
import postgres, { type Sql } from 'postgres';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { createDatabase, redisUrl, type TestDatabase } from '../support/database.ts';
import { brokenInvariants } from '../support/invariants.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import {
  type Call,
  type Codes,
  codes,
  document,
  mobile,
  newPerson,
  PASSWORD,
  PIN,
  PROFILE,
  sendLoginCode,
  wrong,
} from '../support/person.ts';
import { type Answer, type Family, family, type Replica, startReplica } from '../support/replica.ts';
import { signUpTo } from '../support/sign-up.ts';

let database: TestDatabase;
let shared: Family;
let replicas: [Replica, Replica];
let sql: Sql;
let codeOf: Codes;
const call: Call = (...args) => replicas[0].call(...args);

beforeAll(async () => {
  database = await createDatabase();
  shared = family();
  codeOf = codes(shared.secrets.masterKey);
  sql = postgres(database.url, { max: 2, onnotice: () => {} });
  const options = { databaseUrl: database.url, redisUrl: redisUrl(), family: shared, env: LIMITS_OFF };
  replicas = await Promise.all([startReplica(options), startReplica(options)]);
});
afterEach(async () => expect(await brokenInvariants(sql)).toEqual({}));
afterAll(async () => {
  await Promise.all((replicas ?? []).map((replica) => replica.kill()));
  await sql.end();
  await database.drop();
  shared.remove();
});

/** The same request `n` times at once, every other one to the other process. */
const atOnce = (n: number, ask: (call: Call, i: number) => ReturnType<Call>) =>
  Promise.all(Array.from({ length: n }, (_, i) => ask((...args) => replicas[i % 2]!.call(...args), i)));

const tally = (answers: Pick<Answer, 'status'>[]): Record<number, number> =>
  answers.reduce<Record<number, number>>((sum, { status }) => {
    sum[status] = (sum[status] ?? 0) + 1;
    return sum;
  }, {});

/** One 200 (or what else means success), and for everybody else only answers that say "not any more". */
function expectOneWinner(answers: Pick<Answer, 'status' | 'body'>[], success = 200) {
  const { [success]: won = 0, ...others } = tally(answers);
  expect({ won, others }).toMatchObject({ won: 1 });
  const refusals = new Set(['400', '401', '409', '429']);
  expect(Object.keys(others).filter((status) => !refusals.has(status))).toEqual([]);
}

const count = async (query: PromiseLike<readonly { n?: unknown }[]>): Promise<number> =>
  Number((await query)[0]?.n);

test.each(['with the token', 'naming only the phone'] as const)(
  'the right sign-up code 50 times at once, %s, creates one PreUser',
  async (way) => {
    const { phone, flowId, flowToken } = await signUpTo(newPerson(call, codeOf), 'code_sent');
    const token = way === 'with the token' ? flowToken : undefined;
    const body = { phone, otp: codeOf(flowId, 'signup') };
    const answers = await atOnce(50, (c) => c('POST', '/v1/auth/signup/verify-otp', { body, token }));
    expectOneWinner(answers);
    expect(
      await count(sql`select count(*) n from accounts a join flows f on f.account_id = a.id
      where f.id = ${flowId}`),
    ).toBe(1);
    expect(
      await count(sql`select count(*) n from flow_steps where flow_id = ${flowId}
      and event = 'CODE_CHECKED' and not refused`),
    ).toBe(1);
  },
);

test.each(['with the token', 'naming only the phone'] as const)(
  'the right login code 50 times at once, %s, opens one login and one session',
  async (way) => {
    const { phone } = await signUpTo(newPerson(call, codeOf), 'LIMITED');
    const before = await count(sql`select count(*) n from sessions`);
    const { flowToken, otp } = await sendLoginCode(call, codeOf, phone);
    const token = way === 'with the token' ? flowToken : undefined;
    const answers = await atOnce(50, (c) =>
      c('POST', '/v1/auth/verify-otp', { body: { phone, otp }, token }),
    );
    expectOneWinner(answers);
    expect(await count(sql`select count(*) n from sessions`)).toBe(before + 1);
  },
);

test('two sign-ups of one phone verified at once end in one account', async () => {
  const phone = mobile();
  await signUpTo(newPerson(call, codeOf, { phone }), 'code_sent');
  await expect
    .poll(async () => (await call('POST', '/v1/auth/signup/phone', { body: { phone } })).status, {
      timeout: 10_000,
    })
    .toBe(200);
  const keyring = createKeyring(shared.secrets.masterKey);
  const flows = await sql`select f.id from flows f join contacts c on c.id = f.contact_id
    where c.canonical = ${phone} and f.state = 'UNVERIFIED.code_sent'`;
  expect(flows.length).toBeGreaterThanOrEqual(2);
  const tokens = await Promise.all(
    flows.map(async ({ id }) => {
      const [row] = await sql`select token_generation g from flows where id = ${id}`;
      return { id, token: keyring.flowTokenFor(id, Number(row?.g)) };
    }),
  );
  const answers = await atOnce(tokens.length * 5, (c, i) => {
    const { id, token } = tokens[i % tokens.length]!;
    return c('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp: codeOf(id, 'signup') }, token });
  });
  // Who comes second is handed the sign-up under way: the same flow, never another account.
  const went = answers.filter(({ status }) => status === 200).map(({ body }) => body.flow_id);
  expect(new Set(went).size).toBe(1);
  expect(
    await count(sql`select count(*) n from accounts a join contacts c on c.account_id = a.id
    where c.canonical = ${phone}`),
  ).toBe(1);
  expect(tally(answers)[500]).toBeUndefined();
});

test.each(['with the token', 'naming only the phone'] as const)(
  '100 wrong codes at once, %s, and then the right one: refused, and at most five were compared',
  async (way) => {
    const { phone, flowId, flowToken } = await signUpTo(newPerson(call, codeOf), 'code_sent');
    const token = way === 'with the token' ? flowToken : undefined;
    const otp = codeOf(flowId, 'signup');
    const answers = await atOnce(100, (c, i) =>
      c('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp: wrong(otp, i) }, token }),
    );
    expect(Object.keys(tally(answers)).filter((s) => !['400', '409', '429'].includes(s))).toEqual([]);
    const right = await call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp }, token });
    expect([400, 401, 409, 429]).toContain(right.status);
    const [flow] =
      await sql`select snapshot->'context'->'code' code, account_id from flows where id = ${flowId}`;
    expect(flow?.account_id).toBeNull();
    const budget = flow?.code[way === 'with the token' ? 'attemptsLeft' : 'openAttemptsLeft'];
    expect(budget).toBe(0);
    // Never fewer failures on record than budget spent; never more than the windows let through.
    const counted = await sql`select max(count) n from throttles where key like ${`%${
      (await sql`select contact_id from flows where id = ${flowId}`)[0]?.contact_id
    }`}`;
    expect(Number(counted[0]?.n)).toBeGreaterThanOrEqual(5);
    expect(Number(counted[0]?.n)).toBeLessThanOrEqual(20);
  },
);

test('200 wrong codes and the right one behind them, released at once: five are compared at most', async () => {
  const { phone, flowId, flowToken: token } = await signUpTo(newPerson(call, codeOf), 'code_sent');
  const otp = codeOf(flowId, 'signup');
  const answers = await atOnce(201, (c, i) =>
    c('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp: i === 200 ? otp : wrong(otp, i) }, token }),
  );
  expect(answers.slice(0, 200).filter(({ status }) => status === 200)).toEqual([]);
  const [flow] =
    await sql`select snapshot->'context'->'code' code, account_id from flows where id = ${flowId}`;
  // Whoever came sixth was refused, right or wrong; the right one counts only when it came before.
  expect(answers[200]?.status === 200).toBe(flow?.account_id !== null);
  expect(flow?.code.attemptsLeft > 0).toBe(answers[200]?.status === 200);
  const right = await call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp }, token });
  expect(right.status).not.toBe(200);
});

test('callers without the token cannot use up the checks of its holder', async () => {
  const { phone, flowId, flowToken } = await signUpTo(newPerson(call, codeOf), 'code_sent');
  const otp = codeOf(flowId, 'signup');
  await atOnce(30, (c, i) =>
    c('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp: wrong(otp, i) } }),
  );
  const holder = await call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp }, token: flowToken });
  expect(holder.status).toBe(200);
});

test('50 wrong PINs at once over ten logins of one account: five are answered wrong, all others 429 or refused', async () => {
  const { access: token, phone } = await signUpTo(newPerson(call, codeOf, { pin: PIN }), 'LIMITED');
  const me = await call('GET', '/v1/users/me', { token });
  expect(me.status).toBe(200);
  const logins = await atOnce(10, (c) =>
    c('POST', '/v1/auth/login', { body: { phone, password: PASSWORD } }),
  );
  const waiting = logins.map(({ body }) => body.flow_token as string);
  expect(waiting.every((one) => typeof one === 'string')).toBe(true);
  const answers = await atOnce(50, (c, i) =>
    c('POST', '/v1/auth/login/step-up', { body: { pin: '999111' }, token: waiting[i % 10] }),
  );
  const { 401: wrongOnes = 0, 403: last = 0, 429: tooMany = 0, 409: over = 0 } = tally(answers);
  expect({ told: wrongOnes + last, others: tooMany + over }).toEqual({ told: 5, others: 45 });
  const unused = await atOnce(10, (c, i) =>
    c('POST', '/v1/auth/login/step-up', { body: { pin: PIN }, token: waiting[i] }),
  );
  for (const { status } of unused) expect([429, 409]).toContain(status);
});

test('set-password 50 times at once is one step and one password', async () => {
  const { flowId, flowToken: token } = await signUpTo(newPerson(call, codeOf), 'preuser_created');
  const answers = await atOnce(50, (c, i) =>
    c('POST', '/v1/auth/signup/set-password', { body: { password: `${PASSWORD}-${i}` }, token }),
  );
  expectOneWinner(answers);
  expect(
    await count(sql`select password_version n from credentials c join flows f using (account_id)
    where f.id = ${flowId}`),
  ).toBe(1);
});

test('the profile 50 times at once is one promotion, one login and one session', async () => {
  const { flowId, flowToken: token } = await signUpTo(newPerson(call, codeOf), 'credentials_set');
  const answers = await atOnce(50, (c) => c('POST', '/v1/auth/signup/profile', { body: PROFILE, token }));
  expectOneWinner(answers);
  expect(
    await count(sql`select count(*) n from sessions s join flows f using (account_id)
    where f.id = ${flowId}`),
  ).toBe(1);
  expect(
    await count(sql`select count(*) n from audit_events where flow_id = ${flowId}
    and type = 'signup.limited'`),
  ).toBe(1);
});

test('a KYC document 50 times at once is one record and one request to the provider', async () => {
  const { access: token, flowId } = await signUpTo(newPerson(call, codeOf), 'LIMITED');
  const answers = await atOnce(50, (c) => c('POST', '/v1/kyc', { body: document(1), token }));
  expectOneWinner(answers, 202);
  expect(await count(sql`select count(*) n from kyc_records where flow_id = ${flowId}`)).toBe(1);
  expect(
    await count(sql`select count(*) n from outbox where flow_id = ${flowId} and topic = 'kyc.submit'`),
  ).toBe(1);
  await expect
    .poll(async () => (await call('GET', '/v1/kyc', { token })).body.status, { timeout: 10_000 })
    .toBe('VERIFIED');
});

test('one document submitted by ten accounts at once verifies one of them', async () => {
  const people = await Promise.all(
    Array.from({ length: 10 }, () => signUpTo(newPerson(call, codeOf), 'LIMITED')),
  );
  await atOnce(10, (c, i) => c('POST', '/v1/kyc', { body: document(2), token: people[i]!.access }));
  const statuses = async () => {
    const rows =
      await sql`select status from kyc_records where flow_id in ${sql(people.map((p) => p.flowId))}`;
    return rows.map(({ status }) => status as string).sort();
  };
  await expect.poll(async () => (await statuses()).includes('PENDING'), { timeout: 15_000 }).toBe(false);
  expect((await statuses()).filter((status) => status === 'VERIFIED')).toHaveLength(1);
});

test('the right PIN 50 times at once answers one step-up and opens one session', async () => {
  const { phone } = await signUpTo(newPerson(call, codeOf, { pin: PIN }), 'LIMITED');
  const { flowToken, otp } = await sendLoginCode(call, codeOf, phone);
  const login = await call('POST', '/v1/auth/verify-otp', { body: { phone, otp }, token: flowToken });
  expect(login.body.auth_status).toBe('STEP_UP_REQUIRED');
  const token = login.body.flow_token as string;
  const answers = await atOnce(50, (c) => c('POST', '/v1/auth/login/step-up', { body: { pin: PIN }, token }));
  expectOneWinner(answers);
  expect(await count(sql`select count(*) n from sessions where flow_id = ${login.body.flow_id}`)).toBe(1);
});

test('40 wrong PINs at once spend three answers, and the right one is refused then', async () => {
  const { phone } = await signUpTo(newPerson(call, codeOf, { pin: PIN }), 'LIMITED');
  const { flowToken, otp } = await sendLoginCode(call, codeOf, phone);
  const login = await call('POST', '/v1/auth/verify-otp', { body: { phone, otp }, token: flowToken });
  const token = login.body.flow_token as string;
  await atOnce(40, (c) => c('POST', '/v1/auth/login/step-up', { body: { pin: '918273' }, token }));
  const right = await call('POST', '/v1/auth/login/step-up', { body: { pin: PIN }, token });
  expect(right.status).not.toBe(200);
  expect(await count(sql`select count(*) n from sessions where flow_id = ${login.body.flow_id}`)).toBe(0);
  const [flow] = await sql`select state from flows where id = ${login.body.flow_id}`;
  expect(flow?.state).toBe('L6_result.DENIED');
});

test('resends racing checks: the code before is dead, and at most one check wins', async () => {
  const { phone, flowId, flowToken: token } = await signUpTo(newPerson(call, codeOf), 'code_sent');
  const otp = codeOf(flowId, 'signup', 1);
  const answers = await atOnce(30, (c, i) =>
    i % 3 === 0
      ? c('POST', '/v1/auth/signup/phone', { body: { phone }, token })
      : c('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp }, token }),
  );
  expect(tally(answers)[500]).toBeUndefined();
  const checks = answers.filter((_, i) => i % 3 !== 0);
  expect(tally(checks)[200] ?? 0).toBeLessThanOrEqual(1);
  const steps = await sql`select event, context->'code'->>'counter' counter from flow_steps
    where flow_id = ${flowId} and not refused order by seq`;
  // Whoever won, won on the counter that was current at its commit.
  if ((tally(checks)[200] ?? 0) === 1) {
    const accepted = steps.findIndex((s) => s.event === 'CODE_CHECKED' && s.counter === '1');
    expect(accepted).toBeGreaterThan(0);
    expect(steps.slice(0, accepted).map((s) => s.event)).not.toContain('CODE_REQUESTED');
  }
});
