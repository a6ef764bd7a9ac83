/** A stored hash is good for the account it was made for and for no other; those from before are bound on the way in. */
import { hashSync } from '@node-rs/argon2';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { query } from '../support/people.ts';
import { full, limited, login, PASSWORD, PIN } from './people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: { HASH_QUEUE: '200', LIMIT_PASSWORD_LOGIN_NETWORK: '10000/1m' } });
});
afterAll(() => app.close());

type Hashes = { password_hash: string; pin_hash: string };
const hashesOf = async (userId: string): Promise<Hashes> =>
  (
    await query<Hashes>(app, 'select password_hash, pin_hash from credentials where account_id = $1', [
      userId,
    ])
  )[0]!;
const store = (userId: string, { password_hash, pin_hash }: Hashes) =>
  query(app, 'update credentials set password_hash = $2, pin_hash = $3 where account_id = $1', [
    userId,
    password_hash,
    pin_hash,
  ]);
const byPassword = (phone: string, password: string = PASSWORD) =>
  app.call('POST', '/v1/auth/login', {
    body: { phone, password, device_fingerprint: 'device-of-sign-up', token_transport: 'body' },
  });
const stepUp = (token: string) => app.call('POST', '/v1/auth/login/step-up', { token, body: { pin: PIN } });

/** As this service wrote hashes before they were bound. */
const unbound = (secret: string): string =>
  hashSync(secret, {
    algorithm: 2,
    memoryCost: 1024,
    timeCost: 1,
    parallelism: 1,
    outputLen: 32,
    secret: app.secrets.passwordPepper,
  });

describe('a hash written for another account', () => {
  test('opens nothing by password, though password and pepper are the same', async () => {
    const [mine, yours] = [await limited(app, { pin: PIN }), await limited(app, { pin: PIN })];
    const own = await hashesOf(yours.userId);
    await store(yours.userId, await hashesOf(mine.userId));
    expect((await byPassword(yours.phone)).status).toBe(401);
    await store(yours.userId, own);
    expect((await byPassword(yours.phone)).status).toBe(200);
  });

  test('opens nothing as a PIN', async () => {
    const [mine, yours] = [await full(app, { pin: PIN }), await full(app, { pin: PIN })];
    const own = await hashesOf(yours.userId);
    await store(yours.userId, await hashesOf(mine.userId));
    const waiting = await login(app, yours.phone, 'device-unknown');
    expect(waiting.body).toMatchObject({ auth_status: 'STEP_UP_REQUIRED' });
    expect((await stepUp(waiting.body.flow_token)).status).toBe(401);
    await store(yours.userId, own);
    expect((await stepUp(waiting.body.flow_token)).status).toBe(200);
  });
});

describe('a hash from before', () => {
  test('is valid, and bound at the next login: password and PIN alike', async () => {
    const { phone, userId } = await full(app, { pin: PIN });
    await store(userId, { password_hash: unbound(PASSWORD), pin_hash: unbound(PIN) });
    expect((await byPassword(phone, 'Wrong-Horse-77!')).status).toBe(401);
    expect((await hashesOf(userId)).password_hash).toMatch(/^\$argon2id\$/);
    expect((await byPassword(phone)).status).toBe(200);
    expect((await hashesOf(userId)).password_hash).toMatch(/^bound\$argon2id\$/);
    expect((await hashesOf(userId)).pin_hash).toMatch(/^\$argon2id\$/);
    app.clock.advance(61_000);
    const waiting = await login(app, phone, 'device-unknown');
    expect((await stepUp(waiting.body.flow_token)).status).toBe(200);
    expect((await hashesOf(userId)).pin_hash).toMatch(/^bound\$argon2id\$/);
    expect((await byPassword(phone)).status).toBe(200);
  });

  test('lets 50 logins at once in: that one of them binds it makes no other one wrong', async () => {
    const { phone, userId } = await limited(app, { pin: PIN });
    await store(userId, { password_hash: unbound(PASSWORD), pin_hash: unbound(PIN) });
    const answers = await Promise.all(Array.from({ length: 50 }, () => byPassword(phone)));
    const statuses = new Set(answers.map(({ status }) => status));
    // The account may be too contended for some of them; none is told that its password is wrong.
    statuses.delete(409);
    expect(statuses).toEqual(new Set([200]));
    expect((await hashesOf(userId)).password_hash).toMatch(/^bound\$argon2id\$/);
  });
});
