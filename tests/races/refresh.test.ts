/** One refresh token, several processes, and every way to fail in between: one successor, nothing lost, nothing revived. */
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { refreshTokenFor } from '../../src/kernel/tokens/refresh-secret.ts';
import { eventually, hasRedisServer, privateRedis } from '../limits/redis-server.ts';
import { createDatabase, redisUrl, type TestDatabase } from '../support/database.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { muteableDatabase } from '../support/muteable-database.ts';
import { type Call, type Codes, codes, newPerson, sendLoginCode } from '../support/person.ts';
import { type Family, family, type Replica, startReplica } from '../support/replica.ts';
import { signUpTo } from '../support/sign-up.ts';

const SLOW = 90_000;

let database: TestDatabase;
let shared: Family;
let replicas: [Replica, Replica];
let sql: Sql;
let codeOf: Codes;
const started: Replica[] = [];

/** Replicas behind one name issue tokens in that name. */
const SHARED = { PUBLIC_URL: 'http://id.example.com' };

const start = async (env: Record<string, string> = {}, databaseUrl = database.url, redis = redisUrl()) => {
  const roomy = { ...LIMITS_OFF, ...env, ...SHARED };
  const replica = await startReplica({
    databaseUrl,
    redisUrl: redis,
    family: shared,
    env: roomy,
  });
  started.push(replica);
  return replica;
};

beforeAll(async () => {
  database = await createDatabase();
  shared = family();
  codeOf = codes(shared.secrets.masterKey);
  sql = postgres(database.url, { max: 2, onnotice: () => {} });
  replicas = await Promise.all([start(), start()]);
});
afterAll(async () => {
  await Promise.all(started.map((replica) => replica.kill()));
  await sql.end();
  await database.drop();
  shared.remove();
});

const callOf =
  (replica: Replica): Call =>
  (...args) =>
    replica.call(...args);
const person = (replica = replicas[0]) => signUpTo(newPerson(callOf(replica), codeOf), 'LIMITED');
const refresh = (replica: Replica, refresh_token: string) =>
  replica.call('POST', '/v1/auth/refresh', { body: { refresh_token } });
const me = async (replica: Replica, token: string) =>
  (await replica.call('GET', '/v1/users/me', { token })).status;
const sessionOf = (token: string) =>
  Buffer.from(token.slice(0, 27), 'base64url').toString('hex').slice(0, 32);
const row = async (token: string) => {
  const [found] = await sql`
    select id, account_id, refresh_generation, revoked_at from sessions
    where replace(id::text, '-', '') = ${sessionOf(token)}`;
  return found as { id: string; account_id: string; refresh_generation: number; revoked_at: Date | null };
};
/** What the n-th token of a session must be: tokens are derived, so a retry can give the same one. */
const nth = async (token: string, generation: number) =>
  refreshTokenFor(createKeyring(shared.secrets.masterKey).key('refresh'), (await row(token)).id, generation);
const events = async (token: string, type: string) => {
  const { account_id } = await row(token);
  const [found] = await sql`select count(*)::int as count from outbox
    where account_id = ${account_id} and topic = 'event' and payload->>'type' = ${type}`;
  return found?.count;
};
/** Makes the rotation look longer ago than the grace, for every process at once. */
const afterGrace = async (token: string) => {
  const { id } = await row(token);
  await sql`update sessions set refresh_rotated_at = refresh_rotated_at - interval '11 seconds' where id = ${id}`;
};

test('fifty presentations of one token over two processes have one successor in one generation', async () => {
  const { refresh: token } = await person();
  const answers = await Promise.all(
    Array.from({ length: 50 }, (_, i) => refresh(replicas[i % 2] as Replica, token)),
  );
  expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  expect(new Set(answers.map(({ body }) => body.refresh_token))).toEqual(new Set([await nth(token, 2)]));
  expect(await row(token)).toMatchObject({ refresh_generation: 2, revoked_at: null });
  expect((await refresh(replicas[1], answers[0]?.body.refresh_token)).status).toBe(200);
});

test('fifty replays outside the grace end all sessions of the user with one event', async () => {
  const one = await person();
  const login = await sendLoginCode(callOf(replicas[0]), codeOf, one.phone);
  const other = await replicas[0].call('POST', '/v1/auth/verify-otp', {
    body: { phone: one.phone, otp: login.otp },
    token: login.flowToken,
  });
  const next = await refresh(replicas[0], one.refresh);
  await afterGrace(one.refresh);
  const replays = await Promise.all(
    Array.from({ length: 50 }, (_, i) => refresh(replicas[i % 2] as Replica, one.refresh)),
  );
  expect(new Set(replays.map(({ status }) => status))).toEqual(new Set([401]));
  for (const token of [next.body.refresh_token, other.body.refresh_token])
    expect((await refresh(replicas[1], token)).status).toBe(401);
  expect(await events(one.refresh, 'token.reuse_detected')).toBe(1);
  expect(await events(one.refresh, 'session.revoked')).toBe(2);
});

test('logout and refresh at once leave no living token', async () => {
  for (let n = 0; n < 5; n++) {
    const { refresh: token, access } = await person();
    const [raced, out] = await Promise.all([
      refresh(replicas[0], token),
      replicas[1].call('POST', '/v1/auth/logout', { token: access }),
    ]);
    expect(out.status).toBe(200);
    expect([200, 401]).toContain(raced.status);
    if (raced.status === 200) {
      expect((await refresh(replicas[1], raced.body.refresh_token)).status).toBe(401);
      expect(await me(replicas[0], raced.body.access_token)).toBe(401);
    }
    expect((await refresh(replicas[0], token)).status).toBe(401);
  }
});

test('what one process ends, blocks or changes, another one knows at the next request', async () => {
  const [left, right] = replicas;
  const loggedOut = await person();
  expect(await me(right, loggedOut.access)).toBe(200);
  await left.call('POST', '/v1/auth/logout', { token: loggedOut.access });
  expect(await me(right, loggedOut.access)).toBe(401);

  const blocked = await person();
  expect(await me(right, blocked.access)).toBe(200);
  const { account_id } = await row(blocked.refresh);
  await sql`update accounts set tier = 'FULL', roles = '{viewer}' where id = ${account_id}`;
  expect((await right.call('GET', '/v1/users/me', { token: blocked.access })).body).toMatchObject({
    account_tier: 'FULL',
    roles: ['viewer'],
  });
  await sql`update accounts set status = 'blocked' where id = ${account_id}`;
  expect(await me(right, blocked.access)).toBe(401);
  expect((await refresh(left, blocked.refresh)).status).toBe(401);
});

test(
  'a spent token stays spent after every process has been killed and started anew',
  async () => {
    const first = await start();
    const { refresh: token } = await person(first);
    const next = await refresh(first, token);
    await afterGrace(token);
    await first.kill();
    const second = await start();
    expect((await refresh(second, token)).status).toBe(401);
    expect((await refresh(second, next.body.refresh_token)).status).toBe(401);
    expect(await events(token, 'token.reuse_detected')).toBe(1);
  },
  SLOW,
);

test('a read-only database refuses a refresh with 503 five times, and then the same token works', async () => {
  const { refresh: token, access } = await person();
  const [name] = await sql`select current_database() as name`;
  /** New sessions of the service get the setting; its old ones are ended. */
  const readOnly = async (value: 'on' | 'off') => {
    await sql.unsafe('set default_transaction_read_only = off');
    await sql.unsafe(`alter database ${name?.name} set default_transaction_read_only = ${value}`);
    await sql`select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and application_name = 'vestibule'`;
  };
  await readOnly('on');
  try {
    for (let n = 0; n < 5; n++) {
      const answer = await refresh(replicas[n % 2] as Replica, token);
      expect(answer).toMatchObject({ status: 503, body: { code: 'dependency_unavailable' } });
      expect(answer.headers.get('retry-after')).not.toBeNull();
    }
    // A logout that is not stored is not a logout.
    const out = await replicas[0].call('POST', '/v1/auth/logout', { token: access });
    expect(out.status).toBe(503);
  } finally {
    await readOnly('off');
  }
  expect(await row(token)).toMatchObject({ refresh_generation: 1, revoked_at: null });
  const successor = await eventually(async () => {
    const answer = await refresh(replicas[0], token);
    return answer.status === 503 ? undefined : (answer.body.refresh_token ?? answer.status);
  });
  expect(successor).toBe(await nth(token, 2));
  expect(await me(replicas[0], access)).toBe(200);
});

test(
  'killed between commit and answer, a retry elsewhere within the grace gives the successor that was stored',
  async () => {
    const mute = await muteableDatabase(database.url);
    try {
      const doomed = await start({}, mute.url);
      const { refresh: token } = await person();
      // Both commit lanes have prepared the statement, so that nothing waits for an answer before it is sent.
      const { refresh: other } = await person();
      await Promise.all(Array.from({ length: 20 }, () => refresh(doomed, other)));
      mute.answers(false);
      const lost = refresh(doomed, token).catch((error: Error) => error);
      await eventually(async () => (await row(token)).refresh_generation === 2);
      await doomed.kill();
      expect(await lost).toBeInstanceOf(Error);
      const retried = await refresh(replicas[0], token);
      expect(retried).toMatchObject({ status: 200, body: { refresh_token: await nth(token, 2) } });
      expect((await refresh(replicas[1], retried.body.refresh_token)).status).toBe(200);
    } finally {
      mute.close();
    }
  },
  SLOW,
);

describe.skipIf(!hasRedisServer)(
  'with a Redis of its own (skipped where redis-server is not installed)',
  () => {
    test('losing every key of Redis, and then Redis itself, neither revives a spent token nor ends a session', async () => {
      const redis = await privateRedis();
      await redis.start();
      try {
        const replica = await start({}, database.url, redis.url);
        const { refresh: spent } = await person(replica);
        const { refresh: kept } = await person(replica);
        const next = await refresh(replica, spent);
        await afterGrace(spent);
        await redis.stop();
        await redis.start();
        expect((await refresh(replica, spent)).status).toBe(401);
        expect((await refresh(replica, next.body.refresh_token)).status).toBe(401);
        await redis.stop();
        expect((await refresh(replica, kept)).status).toBe(200);
        expect((await refresh(replica, spent)).status).toBe(401);
      } finally {
        await redis.stop();
      }
    });
  },
);
