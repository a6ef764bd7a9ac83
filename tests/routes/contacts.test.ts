/** Adding, proving and removing addresses and numbers. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { giveEmail, limitedPerson, PASSWORD, query } from '../support/people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({
    env: { LIMIT_SECOND_FACTOR_NETWORK: '1000/1h', LIMIT_CODE_CHECK_NETWORK: '1000/1m' },
  });
});
afterAll(() => app.close());

const add = (token: string, type: string, value: unknown, current_password = PASSWORD) =>
  app.call('POST', '/v1/users/me/contacts', { token, body: { type, value, current_password } });
const verify = (token: string, flow_token: string, code = '000000') =>
  app.call('POST', '/v1/users/me/contacts/verify', { token, body: { flow_token, code } });

test('a new address belongs to the account only once its code is right, and the old address is told', async () => {
  const { accessToken: token, userId } = await limitedPerson(app);
  await giveEmail(app, userId, 'old@example.com');
  const started = await add(token, 'email', 'New@Example.com');
  expect(started.status).toBe(202);
  expect((await verify(token, started.body.flow_token, '111111')).body).toMatchObject({
    code: 'invalid_code',
    valid: false,
  });
  const before = await app.call('GET', '/v1/users/me/contacts', { token });
  expect(before.text).not.toContain('new@example.com');
  const done = await verify(token, started.body.flow_token);
  expect(done.status).toBe(200);
  const shown = done.body.contacts.map((c: { value: string; primary: boolean }) => [c.value, c.primary]);
  expect(shown).toContainEqual(['New@example.com', true]);
  expect(shown).toContainEqual(['old@example.com', false]);
  await app.relay.drain();
  const told = (await app.services.inbox!.list({ to: 'old@example.com' })).map((m) => m.channel);
  expect(told).toEqual(['mail']);
});

test('adding asks for the present password and changes nothing without it', async () => {
  const { accessToken: token } = await limitedPerson(app);
  expect((await add(token, 'email', 'x@example.com', 'Wrong-Password#1')).status).toBe(401);
  expect(await query(app, "select 1 from contacts where canonical = 'x@example.com'")).toHaveLength(0);
});

test('an address proven by one account cannot be proven by another, whoever asked first', async () => {
  const [ada, eve] = [await limitedPerson(app), await limitedPerson(app)];
  const [a, b] = [await add(ada.accessToken, 'email', 'shared@example.com'), null];
  app.clock.advance(2000);
  const c = await add(eve.accessToken, 'email', 'shared@example.com');
  expect(b).toBeNull();
  expect((await verify(eve.accessToken, c.body.flow_token)).status).toBe(200);
  expect((await verify(ada.accessToken, a.body.flow_token)).status).toBe(409);
  const owners = await query(app, "select account_id from contacts where canonical = 'shared@example.com'");
  expect(owners).toEqual([{ account_id: eve.userId }]);
});

test('200 wrong codes: after five even the right one adds nothing', async () => {
  const { accessToken: token, userId } = await limitedPerson(app);
  const started = await add(token, 'email', 'guessed@example.com');
  for (let i = 0; i < 200; i += 5) {
    const answers = await Promise.all(
      Array.from({ length: 5 }, (_, n) => verify(token, started.body.flow_token, String(100_000 + i + n))),
    );
    for (const { status } of answers) expect([400, 409, 429]).toContain(status);
  }
  const right = await verify(token, started.body.flow_token);
  expect(right).toMatchObject({ status: 429, body: { code: 'rate_limited' } });
  const counted = await query<{ n: number }>(
    app,
    `select (snapshot->'context'->'code'->>'attemptsLeft')::int as n from flows where id = $1`,
    [started.body.flow_id],
  );
  expect(counted).toEqual([{ n: 0 }]);
  const mine = await query(app, "select 1 from contacts where account_id = $1 and type = 'email'", [userId]);
  expect(mine).toEqual([]);
});

test("another account's flow token proves nothing", async () => {
  const [ada, eve] = [await limitedPerson(app), await limitedPerson(app)];
  const started = await add(ada.accessToken, 'phone', freshPhone());
  expect((await verify(eve.accessToken, started.body.flow_token)).status).toBe(401);
});

test('the last proven contact stays; another one can go', async () => {
  const { accessToken: token, userId } = await limitedPerson(app);
  const list = async () => (await app.call('GET', '/v1/users/me/contacts', { token })).body.contacts;
  const remove = (id: string) =>
    app.call('DELETE', `/v1/users/me/contacts/${id}`, { token, body: { current_password: PASSWORD } });
  const [phone] = await list();
  expect((await remove(phone.contact_id)).status).toBe(409);
  await giveEmail(app, userId, 'kept@example.com');
  expect((await remove(phone.contact_id)).status).toBe(200);
  expect((await list()).map((c: { type: string }) => c.type)).toEqual(['email']);
});
