/** A login that waits for its step-up opens nothing once the account has another password, or is gone. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { giveEmail, limitedPerson, PASSWORD, type Person, PIN, query } from '../support/people.ts';

const LIMITS_OFF = '1000/1h';
let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({
    env: {
      LIMIT_SECOND_FACTOR_NETWORK: LIMITS_OFF,
      LIMIT_RECOVERY_NETWORK: LIMITS_OFF,
      LIMIT_PASSWORD_LOGIN_NETWORK: LIMITS_OFF,
    },
  });
});
afterAll(() => app.close());

const NEW_PASSWORD = 'Another-Secret#2024';
let nth = 0;

/** A login begun elsewhere with the present password: it rests at L4. */
async function stolen() {
  const person = await limitedPerson(app, freshPhone());
  const email = `waiting-${++nth}@example.com`;
  await giveEmail(app, person.userId, email);
  const login = await app.call('POST', '/v1/auth/login', {
    body: { email, password: PASSWORD, device_fingerprint: 'device-of-a-thief' },
  });
  expect(login.body).toMatchObject({ requires_step_up: true, flow_token: expect.any(String) });
  return { person, email, token: login.body.flow_token as string };
}

/** The same by a code to the phone. */
async function byPhone(person: Person) {
  app.clock.advance(4000);
  await app.call('POST', '/v1/auth/send-otp', { body: { phone: person.phone } });
  const body = { phone: person.phone, otp: '000000', device_id: 'device-of-a-thief' };
  const login = await app.call('POST', '/v1/auth/verify-otp', { body });
  expect(login.body).toMatchObject({ requires_step_up: true, flow_token: expect.any(String) });
  return login.body.flow_token as string;
}

const stepUp = (flow_token: string) =>
  app.call('POST', '/v1/auth/login/step-up', { body: { flow_token, pin: PIN } });
const change = (person: Person) =>
  app.call('POST', '/v1/users/change-password', {
    token: person.accessToken,
    body: { current_password: PASSWORD, new_password: NEW_PASSWORD },
  });

async function reset(email: string, userId: string) {
  await app.call('POST', '/v1/auth/password/reset-request', { body: { email } });
  const [row] = await query<{ id: string; token_generation: string }>(
    app,
    "select id, token_generation from flows where machine = 'recovery' and account_id = $1",
    [userId],
  );
  const token = createKeyring(app.secrets.masterKey).flowTokenFor(row!.id, Number(row!.token_generation));
  return app.call('POST', '/v1/auth/password/reset', { body: { token, new_password: NEW_PASSWORD } });
}

const sessionsOf = (userId: string) =>
  query(app, 'select 1 from sessions where account_id = $1 and revoked_at is null', [userId]);

test('a login begun with the old password opens no session after a change of it, even with the right PIN', async () => {
  const { person, token } = await stolen();
  expect((await change(person)).status).toBe(200);
  expect(await stepUp(token)).toMatchObject({ status: 403, body: { code: 'access_denied' } });
  expect(await sessionsOf(person.userId)).toHaveLength(1);
});

test('after a reset no login that was begun before it opens a session, by whichever way in', async () => {
  const { person, email, token } = await stolen();
  const other = await byPhone(person);
  expect((await reset(email, person.userId)).status).toBe(200);
  for (const waiting of [token, other]) expect((await stepUp(waiting)).status).toBe(409);
  expect(await sessionsOf(person.userId)).toHaveLength(0);
});

test('a login that waits opens no session once the account is deleted', async () => {
  const { person, token } = await stolen();
  await app.call('DELETE', '/v1/users/me', { token: person.accessToken, body: { password: PASSWORD } });
  expect((await stepUp(token)).status).toBe(403);
  expect(await sessionsOf(person.userId)).toHaveLength(0);
});

test('without a change the right PIN opens the session as ever', async () => {
  const { token } = await stolen();
  expect(await stepUp(token)).toMatchObject({ status: 200, body: { auth_status: 'AUTHENTICATED' } });
});
