/** Who never set a password can still leave, and still add a way in; a login just now stands for it. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { giveEmail, query } from '../support/people.ts';
import { logIn, PASSWORD, type SignedIn, signUp } from '../support/signed-in.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
});
afterAll(() => app.close());

let nth = 0;
const MINUTE = 60_000;

/** Signed in by a code, with a second address; their password is taken away beside the API. */
async function withoutPassword(): Promise<SignedIn> {
  const person = await signUp(app);
  await giveEmail(app, person.userId, `without-${++nth}@example.com`);
  await query(app, 'update credentials set password_hash = null where account_id = $1', [person.userId]);
  return logIn(app, person.phone);
}

const leave = (token: string, body?: object) => app.call('DELETE', '/v1/users/me', { token, body });
const add = (token: string, more: object = {}) =>
  app.call('POST', '/v1/users/me/contacts', {
    token,
    body: { type: 'email', value: `added-${++nth}@example.com`, ...more },
  });
const remove = async (token: string) => {
  const { body } = await app.call('GET', '/v1/users/me/contacts', { token });
  const mail = body.contacts.find((c: { type: string }) => c.type === 'email');
  return app.call('DELETE', `/v1/users/me/contacts/${mail.contact_id}`, { token });
};

test('with a login of the last five minutes a contact comes and goes, and the account can be deleted', async () => {
  const { access, userId } = await withoutPassword();
  app.clock.advance(4 * MINUTE);
  expect((await add(access)).status).toBe(202);
  expect((await remove(access)).status).toBe(200);
  expect((await leave(access)).status).toBe(200);
  expect(await query(app, 'select status from accounts where id = $1', [userId])).toEqual([
    { status: 'deleted' },
  ]);
});

test('an older login is asked to log in again, also after a refresh, and changes nothing', async () => {
  const { access, refresh, phone } = await withoutPassword();
  app.clock.advance(6 * MINUTE);
  const renewed = await app.call('POST', '/v1/auth/refresh', { body: { refresh_token: refresh } });
  for (const token of [access, renewed.body.access_token]) {
    for (const answer of [
      await add(token),
      await remove(token),
      await leave(token),
      await leave(token, { password: 'x' }),
    ])
      expect(answer).toMatchObject({ status: 401, body: { code: 'step_up_required' } });
  }
  expect((await app.call('GET', '/v1/users/me', { token: access })).status).toBe(200);
  expect((await leave((await logIn(app, phone)).access)).status).toBe(200);
});

test('where there is a password it stands for the login that is too old, and a wrong one never does', async () => {
  const { access, userId } = await signUp(app);
  await giveEmail(app, userId, `with-${++nth}@example.com`);
  app.clock.advance(6 * MINUTE);
  for (const answer of [
    await add(access),
    await remove(access),
    await leave(access),
    await leave(access, {}),
  ])
    expect(answer).toMatchObject({
      status: 401,
      body: { code: 'step_up_required', acr_values: 'aal1', max_age: 300 },
    });
  expect(await leave(access, { password: 'Wrong-Password#1' })).toMatchObject({
    status: 401,
    body: { code: 'invalid_credentials' },
  });
  expect((await add(access, { current_password: PASSWORD })).status).toBe(202);
  expect((await leave(access, { password: PASSWORD })).status).toBe(200);
});
