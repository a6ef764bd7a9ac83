/** A keyed request whose process dies, or whose database breaks, after the commit: its retry has no second effect. */
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { refreshHash } from '../../src/kernel/tokens/refresh-secret.ts';
import { eventually } from '../limits/redis-server.ts';
import { createDatabase, redisUrl, type TestDatabase } from '../support/database.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { freshEmail, MAIL_PASSWORD } from '../support/mail.ts';
import { muteableDatabase } from '../support/muteable-database.ts';
import { type Codes, codes, newPerson } from '../support/person.ts';
import { type Family, family, type Replica, startReplica } from '../support/replica.ts';
import { signUpTo } from '../support/sign-up.ts';

const SLOW = 90_000;

let database: TestDatabase;
let shared: Family;
let steady: Replica;
let sql: Sql;
let codeOf: Codes;
const started: Replica[] = [];

const start = async (databaseUrl: string) => {
  const env = { ...LIMITS_OFF, PUBLIC_URL: 'http://id.example.com' };
  const options = { databaseUrl, redisUrl: redisUrl(), family: shared, env };
  const replica = await startReplica(options);
  started.push(replica);
  return replica;
};

beforeAll(async () => {
  database = await createDatabase();
  shared = family();
  codeOf = codes(shared.secrets.masterKey);
  sql = postgres(database.url, { max: 2, onnotice: () => {} });
  steady = await start(database.url);
});
afterAll(async () => {
  await Promise.all(started.map((replica) => replica.kill()));
  await sql.end();
  await database.drop();
  shared.remove();
});

type Request = { path: string; body: object; token?: string };
let keys = 0;
const keyed = () => ({ 'idempotency-key': `lost-answer-${process.pid}-${keys++}` });

const committed = async () => {
  const [row] = await sql`select count(*)::int as n from idempotency_records
    where committed_at is not null and status is null`;
  return row?.n as number;
};
/** Makes what is unanswered look as old as no request may become, plus a second, and every rotation than its grace. */
const later = async () => {
  await sql`update idempotency_records set created_at = now() - interval '6 seconds' where status is null`;
  await sql`update sessions set refresh_rotated_at = refresh_rotated_at - interval '11 seconds'`;
};

/** Sends it to a process that is killed between the commit and the answer, and then again to another one. */
async function killedInBetween({ path, body, token }: Request, marker: string) {
  const [way, headers, before] = [await muteableDatabase(database.url), keyed(), await committed()];
  try {
    const doomed = await start(way.url);
    way.loseAnswerTo(marker, 'silence');
    const lost = doomed.call('POST', path, { body, token, headers }).catch((error: Error) => error);
    await eventually(async () => (await committed()) > before);
    await doomed.kill();
    expect(await lost).toBeInstanceOf(Error);
    await sql`update idempotency_records set created_at = now() + interval '1 hour' where status is null`;
    const hasty = await steady.call('POST', path, { body, token, headers });
    expect(hasty).toMatchObject({ status: 409, body: { code: 'idempotency_in_progress' } });
    await later();
    const again = await steady.call('POST', path, { body, token, headers });
    const kept = await steady.call('POST', path, { body, token, headers });
    expect(kept.headers.get('idempotent-replayed')).toBe('true');
    expect(kept.body).toEqual(again.body);
    return again;
  } finally {
    way.close();
  }
}

const me = async (token: string) => (await steady.call('GET', '/v1/users/me', { token })).status;
const refreshed = async (refresh_token: string) =>
  (await steady.call('POST', '/v1/auth/refresh', { body: { refresh_token } })).status;
const sessionsOf = async (accountId: string) =>
  (await sql`select 1 from sessions where account_id = ${accountId}`).length;

async function registered() {
  const body = { email: freshEmail(), password: MAIL_PASSWORD, name: 'Ada Byron' };
  const { body: begun } = await steady.call('POST', '/v1/auth/register', { body });
  const code = codeOf(begun.flow_id, 'email');
  await steady.call('POST', '/v1/auth/verify-email', { body: { flow_token: begun.flow_token, code } });
  await sql`delete from sessions where account_id = ${begun.user_id}`;
  return { email: body.email, userId: begun.user_id as string };
}

test(
  'killed between commit and answer, a registration is one account, one mail and a token that works',
  async () => {
    const email = freshEmail();
    const body = { email, password: MAIL_PASSWORD, name: 'Ada Byron' };
    const again = await killedInBetween({ path: '/v1/auth/register', body }, 'REGISTERED');
    expect(again.status).toBe(201);
    const flows = await sql`select f.id from flows f join contacts c on c.id = f.contact_id
      where c.canonical = ${email}`;
    expect(flows.map(({ id }) => id)).toEqual([again.body.flow_id]);
    expect(await sql`select 1 from accounts where id = ${again.body.user_id}`).toHaveLength(1);
    expect(
      await sql`select 1 from outbox where flow_id = ${again.body.flow_id} and topic = 'code.send'`,
    ).toHaveLength(1);
    const verified = await steady.call('POST', '/v1/auth/verify-email', {
      body: { flow_token: again.body.flow_token, code: codeOf(again.body.flow_id, 'email') },
    });
    expect(verified).toMatchObject({ status: 200, body: { verified: true } });
  },
  SLOW,
);

test(
  'killed between commit and answer, a password login is one session with tokens that work',
  async () => {
    const { email, userId } = await registered();
    const body = { email, password: MAIL_PASSWORD, token_transport: 'body' };
    const again = await killedInBetween({ path: '/v1/auth/login', body }, 'PRIMARY_PROVED');
    expect(again.status).toBe(200);
    expect(await sessionsOf(userId)).toBe(1);
    expect(await me(again.body.access_token)).toBe(200);
    expect(await refreshed(again.body.refresh_token)).toBe(200);
  },
  SLOW,
);

test(
  'killed between commit and answer, the last step of a sign-up gives its first tokens once',
  async () => {
    const { flowToken, flowId } = await signUpTo(
      newPerson((...args) => steady.call(...args), codeOf),
      'credentials_set',
    );
    const body = { first_name: 'Ada', last_name: 'Byron', date_of_birth: '1990-12-10' };
    const request = { path: '/v1/auth/signup/profile', body, token: flowToken };
    const again = await killedInBetween(request, 'PROFILE_SUBMITTED');
    expect(again).toMatchObject({ status: 200, body: { flow_id: flowId } });
    expect(await me(again.body.access_token)).toBe(200);
    expect(await sessionsOf(again.body.user_id)).toBe(1);
    expect(await refreshed(again.body.refresh_token)).toBe(200);
  },
  SLOW,
);

test(
  'killed between commit and answer, a step that replaces the flow token is told to whoever has the replaced one',
  async () => {
    const { flowToken, flowId, phone } = await signUpTo(
      newPerson((...args) => steady.call(...args), codeOf),
      'code_sent',
    );
    const body = { phone, otp: codeOf(flowId, 'signup') };
    const request = { path: '/v1/auth/signup/verify-otp', body, token: flowToken };
    const again = await killedInBetween(request, 'CODE_CHECKED');
    expect(again).toMatchObject({ status: 200, body: { verified: true } });
    expect(again.body.flow_token).not.toBe(flowToken);
    const next = await steady.call('POST', '/v1/auth/signup/set-password', {
      body: { password: MAIL_PASSWORD },
      token: again.body.flow_token,
    });
    expect(next.status).toBe(200);
  },
  SLOW,
);

test(
  'killed between commit and answer, a check of a code without a key is told to have been right, and gives no token',
  async () => {
    const { flowToken, flowId, phone } = await signUpTo(
      newPerson((...args) => steady.call(...args), codeOf),
      'code_sent',
    );
    const request = { body: { phone, otp: codeOf(flowId, 'signup') }, token: flowToken };
    const way = await muteableDatabase(database.url);
    try {
      const doomed = await start(way.url);
      way.loseAnswerTo('CODE_CHECKED', 'silence');
      const lost = doomed.call('POST', '/v1/auth/signup/verify-otp', request).catch((error: Error) => error);
      const state = async () => (await sql`select state from flows where id = ${flowId}`)[0]?.state;
      await eventually(async () => (await state()) === 'UNVERIFIED.preuser_created');
      await doomed.kill();
      expect(await lost).toBeInstanceOf(Error);
    } finally {
      way.close();
    }
    const again = await steady.call('POST', '/v1/auth/signup/verify-otp', request);
    expect(again).toMatchObject({
      status: 409,
      body: {
        code: 'already_verified',
        state: 'UNVERIFIED.preuser_created',
        next: [{ href: '/v1/auth/signup/phone' }],
      },
    });
    expect(JSON.stringify(again.body)).not.toMatch(/[a-z]+_token/);
  },
  SLOW,
);

test(
  'killed between commit and answer, a keyed refresh gives its successor also after the grace, and no reuse is seen',
  async () => {
    const { refresh } = await signUpTo(
      newPerson((...args) => steady.call(...args), codeOf),
      'LIMITED',
    );
    const body = { refresh_token: refresh };
    const again = await killedInBetween({ path: '/v1/auth/refresh', body }, refreshHash(refresh));
    expect(again.status).toBe(200);
    expect(await me(again.body.access_token)).toBe(200);
    expect(await refreshed(again.body.refresh_token)).toBe(200);
  },
  SLOW,
);

test(
  'killed between commit and answer, a changed password is changed once and said to be',
  async () => {
    const { access } = await signUpTo(
      newPerson((...args) => steady.call(...args), codeOf),
      'LIMITED',
    );
    const body = { current_password: 'Correct-Horse-9-Battery', new_password: 'Another-Horse-8-Battery' };
    const again = await killedInBetween(
      { path: '/v1/users/change-password', body, token: access },
      'password.changed',
    );
    expect(again).toMatchObject({ status: 200, body: { message: 'The password is changed.' } });
    expect(await sql`select 1 from audit_events where type = 'password.changed'`).toHaveLength(1);
  },
  SLOW,
);

test(
  'a logout whose answer is lost says that it took effect, and gives nothing else away',
  async () => {
    const { access } = await signUpTo(
      newPerson((...args) => steady.call(...args), codeOf),
      'LIMITED',
    );
    const [way, headers] = [await muteableDatabase(database.url), keyed()];
    try {
      const doomed = await start(way.url);
      way.loseAnswerTo('user.logout', 'silence', { transaction: true });
      const call = { token: access, headers, body: {} };
      const lost = doomed.call('POST', '/v1/auth/logout', call).catch((error: Error) => error);
      await eventually(async () => (await me(access)) === 401);
      await doomed.kill();
      await lost;
      await later();
      const again = await steady.call('POST', '/v1/auth/logout', call);
      expect(again).toMatchObject({ status: 409, body: { code: 'idempotency_answer_lost' } });
    } finally {
      way.close();
    }
  },
  SLOW,
);

test(
  'a 503 after the commit keeps the key: the retry tells what was committed at once',
  async () => {
    const [way, headers, email] = [await muteableDatabase(database.url), keyed(), freshEmail()];
    try {
      const replica = await start(way.url);
      const body = { email, password: MAIL_PASSWORD, name: 'Ada Byron' };
      way.loseAnswerTo('REGISTERED', 'break');
      const first = await replica.call('POST', '/v1/auth/register', { body, headers });
      expect(first).toMatchObject({ status: 503, body: { code: 'dependency_unavailable' } });
      const again = await replica.call('POST', '/v1/auth/register', { body, headers });
      expect(again.status).toBe(201);
      const flows = await sql`select 1 from flows f join contacts c on c.id = f.contact_id
        where c.canonical = ${email}`;
      expect(flows).toHaveLength(1);
    } finally {
      way.close();
    }
  },
  SLOW,
);

test(
  'a 503 before any commit frees the key: the retry runs at once',
  async () => {
    const { email, userId } = await registered();
    const [way, headers] = [await muteableDatabase(database.url), keyed()];
    try {
      const replica = await start(way.url);
      const body = { email, password: MAIL_PASSWORD };
      // What a login reads first is found by its contact.
      way.loseAnswerTo(createKeyring(shared.secrets.masterKey).lookupId('email', email), 'break');
      const first = await replica.call('POST', '/v1/auth/login', { body, headers });
      expect(first).toMatchObject({ status: 503, body: { code: 'dependency_unavailable' } });
      expect(await sessionsOf(userId)).toBe(0);
      const again = await replica.call('POST', '/v1/auth/login', { body, headers });
      expect(again.status).toBe(200);
      expect(await sessionsOf(userId)).toBe(1);
    } finally {
      way.close();
    }
  },
  SLOW,
);

test('a session that has ended since is not told of again: its lost login is no way back in', async () => {
  const { email, userId } = await registered();
  const [headers, body] = [keyed(), { email, password: MAIL_PASSWORD }];
  const first = await steady.call('POST', '/v1/auth/login', { body, headers });
  expect(first.status).toBe(200);
  await sql`update sessions set revoked_at = now() where account_id = ${userId}`;
  await sql`update idempotency_records set status = null, answer = null, run = null
    where steps <> '{}' and committed_at = (select max(committed_at) from idempotency_records)`;
  const again = await steady.call('POST', '/v1/auth/login', { body, headers });
  expect(again).toMatchObject({ status: 409, body: { code: 'idempotency_answer_lost' } });
  expect(await sessionsOf(userId)).toBe(1);
});
