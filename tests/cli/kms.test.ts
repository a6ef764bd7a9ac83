/** Rotation of the master key under load, with a crash in the middle: everything opens throughout, and the old key is needed no more. */
import { spawn } from 'node:child_process';
import { randomBytes, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLocalKms } from '../../src/adapters/kms-local.ts';
import { UsageError } from '../../src/cli/command.ts';
import { command, kmsRewrap, kmsStatus } from '../../src/cli/kms.ts';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { full } from '../routes/people.ts';
import { createTestApp, type TestApp, testSecrets } from '../support/app.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { type KiteServer, startKite } from '../support/kite-server.ts';
import { query } from '../support/people.ts';
import { BASE, kiteEnv, linked, proveSecondFactor } from '../support/trading.ts';

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
const ROWS = Number(process.env.TEST_REWRAP_ROWS ?? 600);
const key = (n: number) => `local:${n}=${randomBytes(32).toString('hex')}`;
const [older, newer] = [key(2), key(3)];

let database: TestDatabase;
let kite: KiteServer;
const secrets = testSecrets();
const apps: TestApp[] = [];
async function serviceWith(keys: string): Promise<TestApp> {
  const env = { ...kiteEnv(kite), LOCAL_KMS_KEYS: keys };
  const app = await createTestApp({ databaseUrl: database.url, secrets, env });
  apps.push(app);
  return app;
}
beforeAll(async () => {
  [database, kite] = await Promise.all([createDatabase(), startKite()]);
});
afterAll(async () => {
  for (const app of apps) await app.close();
  await kite.close();
  await database.drop();
});

const SECRETS = { api_key: 'a-key', api_secret: 'a-secret', access_token: 'a-token' };
type Row = { id: string; owner: string };

/** Accounts of nobody, sealed as the service does it. */
async function manyAccounts(app: TestApp, many: number): Promise<Row[]> {
  const sql = postgres(database.url, { max: 1, onnotice: () => {} });
  const rows: Row[] = Array.from({ length: many }, () => ({ id: randomUUID(), owner: randomUUID() }));
  for (let i = 0; i < many; i += 500) {
    const sealed = await Promise.all(
      rows.slice(i, i + 500).map(async ({ id, owner }) => {
        const s = await app.services.vault.seal({ owner, account: id, keyVersion: 1 }, SECRETS);
        return {
          id,
          owner_id: owner,
          flow_id: id,
          broker: 'kite',
          broker_user_id: 'AB1234',
          key_version: 1,
          wrapping_key: s.wrappingKey,
          wrapped_key: s.wrappedKey,
          key_check: s.keyCheck,
          sealed_fields: sql.json(s.fields as never),
          created_at: new Date(),
          updated_at: new Date(),
        };
      }),
    );
    await sql`insert into trading_accounts ${sql(sealed)}`;
  }
  await sql.end();
  return rows;
}

async function openAll(app: TestApp, rows: Row[]): Promise<number> {
  const stored = await query<Record<string, never>>(app, 'select * from trading_accounts');
  const byId = new Map(stored.map((row) => [String(row.id), row]));
  const opened = await Promise.all(
    rows.map(async ({ id, owner }) => {
      const row = byId.get(id)!;
      const sealed = {
        wrappingKey: row.wrapping_key!,
        wrappedKey: row.wrapped_key!,
        keyCheck: row.key_check!,
        fields: row.sealed_fields!,
      };
      const fields = await app.services.vault.open({ owner, account: id, keyVersion: 1 }, sealed);
      return (fields as typeof SECRETS).api_secret === SECRETS.api_secret;
    }),
  );
  return opened.filter(Boolean).length;
}

const left = async (app: TestApp): Promise<number> =>
  Number(/left: (\d+)$/.exec(await kmsStatus(app.services))?.[1]);

/** The command as an operator runs it. */
function rewrapProcess(...more: string[]) {
  return spawn(process.execPath, [MAIN, 'kms', 'rewrap', ...more], {
    env: {
      PATH: process.env.PATH,
      NODE_ENV: 'test',
      DEMO_MODE: 'false',
      DATABASE_URL: database.url,
      MASTER_KEY: secrets.masterKey.toString('hex'),
      PASSWORD_PEPPER: secrets.passwordPepper.toString('hex'),
      SECRET_KEY: secrets.secretKey,
      KYC_WEBHOOK_SECRET: secrets.webhookSecret,
      JWT_ALGORITHM: 'ES256',
      LOCAL_KMS_KEYS: `${newer},${older}`,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

test('a rotation survives kill -9 under load; then the old master key can be removed', async () => {
  const before = await serviceWith(older);
  const mine = await linked(before, kite);
  const rows = await manyAccounts(before, ROWS);
  // A KYC number from before the vault.
  const own = createLocalKms({
    keys: [{ id: 'local:1', key: createKeyring(secrets.masterKey).key('kek') }],
    activeId: 'local:1',
  });
  const [kyc] = await query<{ id: string }>(before, 'select id from kyc_records where account_id = $1', [
    mine.userId,
  ]);
  const context = `kyc|${mine.userId}|${kyc!.id}|number`;
  await query(before, 'update kyc_records set number_sealed = $2 where id = $1', [
    kyc!.id,
    await own.encrypt('ABCDE1234F', context),
  ]);

  const rotating = await serviceWith(`${newer},${older}`);
  const all = await left(rotating);
  expect(all).toBe(ROWS + 2);
  await proveSecondFactor(rotating, mine);

  const killed = rewrapProcess('--batch', '50', '--pause', '50');
  let output = '';
  killed.stderr.setEncoding('utf8').on('data', (text: string) => {
    output += text;
  });
  while (!/\d+ done, \d+ left/.test(output)) {
    if (killed.exitCode !== null) throw new Error(`it ended by itself: ${output}`);
    await once(killed.stderr, 'data');
  }
  const gone = once(killed, 'exit');
  killed.kill('SIGKILL');
  await gone;
  const rest = await left(rotating);
  expect(rest).toBeGreaterThan(0);
  expect(rest).toBeLessThan(all);

  // Half of it is under each key: every replica that knows both serves all of it, while the rest is moved.
  let served = 0;
  let moving = true;
  const load = (async () => {
    while (moving) {
      const shown = await rotating.call('POST', `${BASE}/${mine.id}/reveal`, { token: mine.access });
      expect(shown.body).toMatchObject({ api_secret: mine.apiSecret });
      const listed = await rotating.call('GET', BASE, { token: mine.access });
      expect(listed.status).toBe(200);
      served += 1;
    }
  })();
  const seen: string[] = [];
  const done = await kmsRewrap(rotating.services, {
    batch: 100,
    pauseMs: 5,
    report: (line) => seen.push(line),
  });
  moving = false;
  await load;
  expect(served).toBeGreaterThan(0);
  expect(done).toBe(`${rest} rewrapped`);
  expect(seen.at(-1)).toMatch(/\d+ done, 0 left, \d+\/s, 0 s to go/);
  expect(await left(rotating)).toBe(0);
  expect(await kmsRewrap(rotating.services)).toBe('0 rewrapped');

  const after = await serviceWith(newer);
  expect(await openAll(after, rows)).toBe(ROWS);
  const [sealed] = await query<{ number_sealed: string }>(after, 'select number_sealed from kyc_records');
  expect(await after.services.kms.decrypt(sealed!.number_sealed, context)).toBe('ABCDE1234F');
  const shown = await after.call('POST', `${BASE}/${mine.id}/reveal`, { token: mine.access });
  expect(shown.body).toMatchObject({ api_key: mine.apiKey, api_secret: mine.apiSecret });
  expect(await kmsStatus(after.services)).not.toMatch(/local:2/);
}, 300_000);

describe('what does not open', () => {
  test('is named, stays as it is, and does not stop the rest', async () => {
    const app = await serviceWith(`${key(4)},${newer}`);
    const others = await left(app);
    const [a, b] = (await manyAccounts(app, 3)) as [Row, Row, Row];
    const broken = "update trading_accounts set wrapping_key = 'local:3' where id = any($1)";
    await query(app, broken, [[a.id, b.id]]);
    const failed = await kmsRewrap(app.services).catch((error: Error) => error);
    expect(String(failed)).toMatch(new RegExp(`^Error: ${others} rewrapped; 2 do not open`));
    for (const { id } of [a, b]) expect(String(failed)).toContain(id);
    expect(await left(app)).toBe(2);
  });

  test('wrong usage is refused before anything is opened', async () => {
    for (const args of [
      [],
      ['burn'],
      ['rewrap', 'x'],
      ['rewrap', '--batch', '0'],
      ['rewrap', '--batch', 'x'],
    ])
      await expect(command.run(args)).rejects.toBeInstanceOf(UsageError);
  });
});

test('a person submits KYC as before, sealed by the vault', async () => {
  const app = await serviceWith(key(5));
  const person = await full(app);
  const [row] = await query<{ number_sealed: string }>(
    app,
    'select number_sealed from kyc_records where account_id = $1',
    [person.userId],
  );
  expect(row!.number_sealed).toMatch(/^v2\./);
});
