/** Planted credentials through every route, with a KMS outside: none of them is in the database, in Redis, in a log line or in an error; and what the KMS's absence stops. */
import { Redis } from 'ioredis';
import postgres from 'postgres';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { createDatabase, redisUrl, type TestDatabase } from '../support/database.ts';
import { type KiteServer, startKite } from '../support/kite-server.ts';
import { query } from '../support/people.ts';
import { dump } from '../support/tables.ts';
import { BASE, brokerUser, kiteEnv, linked, proveSecondFactor } from '../support/trading.ts';
import { startVault, type VaultServer } from '../support/vault-server.ts';
import { expectProblem, freshPan, full, limited, login, submitKyc } from './people.ts';

let app: TestApp;
let kite: KiteServer;
let vault: VaultServer;
let database: TestDatabase;
const lines: string[] = [];
beforeAll(async () => {
  [kite, vault, database] = await Promise.all([startKite(), startVault(), createDatabase()]);
  app = await createTestApp({
    databaseUrl: database.url,
    logStream: { write: (line) => void lines.push(line) },
    env: {
      ...kiteEnv(kite),
      LOG_LEVEL: 'trace',
      LOG_FORMAT: 'json',
      KMS_PROVIDER: 'vault',
      VAULT_URL: vault.url,
      VAULT_TOKEN: vault.token,
    },
  });
});
afterAll(async () => {
  await app.close();
  await Promise.all([kite.close(), vault.close(), database.drop()]);
});

async function everythingStored(): Promise<string> {
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  const tables = JSON.stringify(await dump(sql));
  await sql.end();
  const url = redisUrl();
  if (!url) return tables;
  const redis = new Redis(url);
  const keys = await redis.keys('*');
  const values = await Promise.all(
    keys.map(async (key) => {
      const type = await redis.type(key);
      if (type === 'stream') return redis.xrange(key, '-', '+');
      if (type === 'hash') return redis.hgetall(key);
      if (type === 'zset') return redis.zrange(key, '0', '-1');
      return type === 'string' ? redis.get(key) : type;
    }),
  );
  redis.disconnect();
  return tables + JSON.stringify([keys, values]);
}

test('planted credentials are nowhere but in the one answer that shows them', async () => {
  const mine = await linked(app, kite);
  const planted = [mine.apiKey, mine.apiSecret, mine.accessToken];
  const keyed = (key: string) => ({ 'idempotency-key': `planted-${key}` });
  const path = `${BASE}/${mine.id}`;
  const token = mine.access;
  const rotated = kite.app();
  const requestToken = kite.login(rotated, mine.brokerUserId);
  const third = kite.app();
  const brokerUserId = brokerUser();
  const thirdToken = kite.grant(third, brokerUserId);
  planted.push(rotated.apiKey, rotated.apiSecret, requestToken, third.apiKey, third.apiSecret, thirdToken);
  const answers = [
    await app.call('POST', `${path}/verify`, { token }),
    await app.call('POST', `${path}/rotate-credentials`, {
      token,
      headers: keyed('rotate'),
      body: { api_key: rotated.apiKey, api_secret: rotated.apiSecret, request_token: requestToken },
    }),
    await app.call('POST', `${BASE}/link`, {
      token,
      headers: keyed('link'),
      body: {
        broker: 'kite',
        broker_user_id: brokerUserId,
        api_key: third.apiKey,
        api_secret: third.apiSecret,
        access_token: thirdToken,
      },
    }),
    await app.call('POST', `${path}/rotate-credentials`, { token, body: { access_token: thirdToken } }),
    await app.call('POST', `${BASE}/link`, { token, body: { broker: 'kite', api_secret: third.apiSecret } }),
    await app.call('GET', BASE, { token }),
    await app.call('GET', path, { token }),
    await app.call('GET', '/v1/users/me', { token }),
    await app.call('GET', `/v1/flows/${mine.flowId}`, { token }),
    await app.call('PATCH', path, { token, body: { api_secret: third.apiSecret } }),
  ];
  kite.trouble = 'cut';
  answers.push(await app.call('POST', `${path}/verify`, { token }));
  kite.trouble = null;
  await proveSecondFactor(app, mine);
  const shown = await app.call('POST', `${path}/reveal`, {
    token: mine.access,
    headers: keyed('reveal'),
  });
  expect(shown.body).toMatchObject({ api_secret: rotated.apiSecret });
  app.clock.advance(25 * 3_600_000);
  await app.relay.drain();

  const everything = [
    await everythingStored(),
    ...lines,
    ...answers.map(({ text }) => text),
    ...vault.calls.map(({ body }) => body),
  ].join('\n');
  expect(lines.length).toBeGreaterThan(10);
  for (const secret of planted) {
    expect(everything).not.toContain(secret);
    expect(everything).not.toContain(Buffer.from(secret).toString('base64').slice(0, 12));
  }
});

test('a KMS that is away stops what needs it with 503, and nothing else; nothing is half done', async () => {
  const mine = await linked(app, kite);
  await proveSecondFactor(app, mine);
  const [beginner, visitor] = [await limited(app), await full(app)];
  const path = `${BASE}/${mine.id}`;
  const token = mine.access;
  const before = await query(app, 'select * from trading_accounts order by id');
  for (const trouble of [{ sealed: true }, { lie: { status: 200, body: '{"data":{"ciphertext":"x"}}' } }]) {
    app.services.vault.forget(mine.id);
    Object.assign(vault, trouble);
    try {
      const kiteApp = kite.app();
      const id = brokerUser();
      const link = await app.call('POST', `${BASE}/link`, {
        token,
        body: {
          broker: 'kite',
          broker_user_id: id,
          api_key: kiteApp.apiKey,
          api_secret: kiteApp.apiSecret,
          access_token: kite.grant(kiteApp, id),
        },
      });
      const stopped = [
        link,
        await app.call('POST', `${path}/rotate-credentials`, {
          token,
          body: { access_token: mine.accessToken },
        }),
        await app.call('POST', `${path}/reveal`, { token }),
        await app.call('POST', `${path}/verify`, { token }),
        await submitKyc(app, beginner.access, freshPan()),
      ];
      for (const answer of stopped) expectProblem(answer, 503, 'dependency_unavailable');
      expect((await app.call('GET', BASE, { token })).body.total_accounts).toBe(1);
      expect((await app.call('GET', path, { token })).status).toBe(200);
      expect((await app.call('GET', '/v1/users/me', { token })).status).toBe(200);
      app.clock.advance(40_000);
      expect((await login(app, visitor.phone)).body.auth_status).toBe('AUTHENTICATED');
      expect((await app.call('GET', '/health/ready')).status).toBe(200);
    } finally {
      Object.assign(vault, { sealed: false, lie: null });
    }
  }
  expect(await query(app, 'select * from trading_accounts order by id')).toEqual(before);
  expect((await app.call('POST', `${path}/verify`, { token })).body.valid).toBe(true);
});

test('a KMS that is away does not keep an account linked against its owner’s will', async () => {
  const mine = await linked(app, kite);
  app.services.vault.forget(mine.id);
  vault.sealed = true;
  try {
    expect((await app.call('DELETE', `${BASE}/${mine.id}`, { token: mine.access })).status).toBe(200);
  } finally {
    vault.sealed = false;
  }
});

test('a list of 1,000 accounts decrypts nothing', async () => {
  const owner = await full(app);
  await query(
    app,
    `insert into trading_accounts (id, owner_id, flow_id, broker, broker_user_id, key_version, wrapping_key, wrapped_key,
       key_check, sealed_fields, api_key_last4, created_at, updated_at)
     select gen_random_uuid(), $1, t.flow_id, 'kite', 'X' || n, 1, t.wrapping_key, t.wrapped_key, t.key_check,
       t.sealed_fields, '1234', now(), now()
     from generate_series(1, 1000) n, (select * from trading_accounts where unlinked_at is null limit 1) t`,
    [owner.userId],
  );
  vault.calls.length = 0;
  const listed = await app.call('GET', BASE, { token: owner.access });
  expect(listed.body.total_accounts).toBe(1000);
  expect(vault.calls).toEqual([]);
});
