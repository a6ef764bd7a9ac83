/** A keyed request whose answer was lost: its retry tells what was committed, or says that it no longer can. */
import { decodeJwt } from 'jose';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { createAuthenticator } from '../support/authenticator.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { emailPerson, freshEmail, MAIL_PASSWORD, register } from '../support/mail.ts';
import { query } from '../support/people.ts';
import { appCode, enrolTotp, nextCode } from '../support/second-factor.ts';

let app: TestApp;
const ORIGIN = 'https://login.example.org';
beforeAll(async () => {
  app = await createTestApp({
    env: {
      ...LIMITS_OFF,
      FRONTEND_URL: ORIGIN,
      PASSKEY_RP_ID: 'example.org',
      LIMIT_SECOND_FACTOR_NETWORK: '100000/1s',
      LIMIT_PASSWORD_LOGIN_NETWORK: '100000/1s',
      LIMIT_REGISTER_NETWORK: '100000/1s',
    },
  });
});
afterAll(() => app.close());

let keys = 0;
/** The answer of a keyed request, the loss of that answer, and the same request once more. */
function keyed(path: string, body: unknown, token?: string) {
  const headers = { 'idempotency-key': `lost-${process.pid}-${keys++}-aaaa` };
  const send = () => app.call('POST', path, { body, token, headers });
  const lose = () =>
    query(
      app,
      `update idempotency_records set status = null, answer = null, created_at = created_at - interval '6 seconds'
       where created_at = (select max(created_at) from idempotency_records)`,
    );
  return { send, lose };
}
async function lostAndRepeated(path: string, body: unknown, token?: string) {
  const { send, lose } = keyed(path, body, token);
  const first = await send();
  expect(first.status).toBeLessThan(300);
  await lose();
  return { first, again: await send() };
}
const LOST = { status: 409, body: { code: 'idempotency_answer_lost' } };

async function person() {
  const { email, userId } = await emailPerson(app);
  const login = { email, password: MAIL_PASSWORD, token_transport: 'body' };
  const { body } = await app.call('POST', '/v1/auth/login', { body: login });
  return { email, userId, token: body.access_token as string };
}
async function withPasskey() {
  const someone = await person();
  const key = createAuthenticator(ORIGIN);
  const { token } = someone;
  const { body } = await app.call('POST', '/v1/passkeys/options', { body: {}, token });
  const credential = key.create(body.options);
  expect((await app.call('POST', '/v1/passkeys', { body: { credential }, token })).status).toBe(200);
  app.clock.advance(1000);
  return { ...someone, key };
}

test('a proven address goes on from its code, also where it alone names the registration', async () => {
  const email = freshEmail();
  await register(app, email);
  const { first, again } = await lostAndRepeated('/v1/auth/verify-email', { email, code: '000000' });
  expect(first.body.verified).toBe(true);
  expect(again).toMatchObject({ status: first.status, body: { verified: true, state: first.body.state } });
  expect(again.body.flow_token).toBe(first.body.flow_token);
});

test('a login by passkey has the roles of its account', async () => {
  const { userId, key } = await withPasskey();
  await query(app, "update accounts set roles = '{viewer}' where id = $1", [userId]);
  const { body } = await app.call('POST', '/v1/auth/passkey/options');
  const credential = key.get(body.options);
  const { first, again } = await lostAndRepeated('/v1/auth/passkey', { credential });
  expect(decodeJwt(first.body.access_token).roles).toEqual(['viewer']);
  expect(decodeJwt(again.body.access_token).roles).toEqual(['viewer']);
});

test('a setup shows no secret but the one that is stored', async () => {
  const { token } = await person();
  expect((await lostAndRepeated('/v1/mfa/totp/setup', {}, token)).again).toMatchObject(LOST);
  expect((await lostAndRepeated('/v1/passkeys/options', {}, token)).again).toMatchObject(LOST);
});

test('no backup codes are shown but those that are stored', async () => {
  const { token } = await person();
  const { secret } = await enrolTotp(app, token);
  const code = nextCode(app, secret);
  const stepped = await app.call('POST', '/v1/mfa/totp/verify', { body: { code }, token });
  const strong = stepped.body.verification_token as string;
  const both = { password: MAIL_PASSWORD };
  const renewed = await lostAndRepeated('/v1/mfa/backup-codes/regenerate', both, strong);
  expect(renewed.again).toMatchObject(LOST);

  const setup = () => app.call('POST', '/v1/mfa/totp/setup', { body: {}, token: strong });
  const right = appCode(app, (await setup()).body.secret);
  const { send, lose } = keyed('/v1/mfa/totp/enable', { code: right }, strong);
  expect((await send()).status).toBe(200);
  await lose();
  // Another app waits for its first code by the time of the retry.
  expect((await setup()).status).toBe(200);
  expect(await send()).toMatchObject(LOST);
});
