/** What a person can change about the account, and what each change leaves behind. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { giveEmail, limitedPerson, PASSWORD, query } from '../support/people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({
    env: {
      LIMIT_SECOND_FACTOR_NETWORK: '1000/1h',
      LIMIT_PASSWORD_LOGIN: '5/15m',
      LIMIT_RECOVERY_NETWORK: '1000/1h',
    },
  });
});
afterAll(() => app.close());

const NEW_PASSWORD = 'Another-Secret#2024';

describe('profile', () => {
  test('named fields change, others stay, and the change is audited with its event', async () => {
    const { accessToken: token, userId } = await limitedPerson(app);
    const answer = await app.call('PATCH', '/v1/users/me', {
      token,
      body: { name: 'Countess', locale: 'en-GB' },
    });
    expect(answer).toMatchObject({ status: 200, body: { updated_fields: ['name', 'locale'] } });
    const me = await app.call('GET', '/v1/users/me', { token });
    expect(me.body).toMatchObject({ name: 'Countess', locale: 'en-GB', timezone: null });
    expect(
      await query(app, "select 1 from audit_events where account_id = $1 and type = 'user.updated'", [
        userId,
      ]),
    ).toHaveLength(1);
  });

  test('a time zone or locale that does not exist is refused with its field', async () => {
    const { accessToken: token } = await limitedPerson(app);
    for (const [field, value, status] of [
      ['timezone', 'Europe/Berlin', 200],
      ['timezone', 'Etc/GMT+5', 200],
      ['timezone', 'Nowhere/Land', 400],
      ['timezone', 'hello', 400],
      ['timezone', '+0100', 400],
      ['locale', 'zh-Hant-TW', 200],
      ['locale', 'es-419', 200],
      ['locale', 'hello', 400],
      ['locale', 'en-XX', 400],
      ['locale', 'e', 400],
    ] as const) {
      const answer = await app.call('PATCH', '/v1/users/me', { token, body: { [field]: value } });
      expect([field, value, answer.status]).toEqual([field, value, status]);
      if (status === 400) expect(answer.body.errors).toMatchObject([{ pointer: `/body/${field}` }]);
      else expect((await app.call('GET', '/v1/users/me', { token })).body[field]).toBe(value);
    }
  });

  test.each([
    'role',
    'roles',
    'tier',
    'status',
    'userId',
    'email',
    'phone',
    'mfa',
    'kycStatus',
    'permissions',
  ])('a body that names %s is refused and changes nothing', async (field) => {
    const { accessToken: token } = await limitedPerson(app);
    const before = await app.call('GET', '/v1/users/me', { token });
    const body = { name: 'X', [field]: 'admin' };
    expect((await app.call('PATCH', '/v1/users/me', { token, body })).status).toBe(400);
    expect((await app.call('GET', '/v1/users/me', { token })).body).toEqual(before.body);
  });

  test('preferences are replaced whole and come back', async () => {
    const { accessToken: token } = await limitedPerson(app);
    const preferences = { theme: 'dark', 'mail.weekly': false };
    expect((await app.call('PUT', '/v1/users/me/preferences', { token, body: { preferences } })).status).toBe(
      200,
    );
    expect((await app.call('GET', '/v1/users/me/preferences', { token })).body).toEqual({ preferences });
  });

  test('others see a name and never an address, a number or a deleted account', async () => {
    const [ada, eve] = [await limitedPerson(app), await limitedPerson(app)];
    const seen = await app.call('GET', `/v1/users/profile/${ada.userId}`, { token: eve.accessToken });
    expect(Object.keys(seen.body).sort()).toEqual(['avatar_url', 'created_at', 'name', 'status', 'user_id']);
    expect(seen.text).not.toContain(ada.phone);
    await query(app, "update accounts set status = 'blocked' where id = $1", [ada.userId]);
    expect(
      (await app.call('GET', `/v1/users/profile/${ada.userId}`, { token: eve.accessToken })).status,
    ).toBe(404);
  });
});

describe('password', () => {
  /** Somebody with every kind of name, and two addresses, who has just asked for a link. */
  async function wellKnown() {
    const person = await limitedPerson(app);
    await giveEmail(app, person.userId, 'analytical@example.com');
    await giveEmail(app, person.userId, 'second-box@example.net');
    await query(app, "update accounts set username = 'countess9' where id = $1", [person.userId]);
    await query(
      app,
      `update profiles set display_name = 'Lady Lovelace', first_name = 'Augusta', last_name = 'Noel-King' where account_id = $1`,
      [person.userId],
    );
    await app.call('POST', '/v1/auth/password/reset-request', { body: { email: 'analytical@example.com' } });
    return person;
  }

  async function resetLinkOf(userId: string): Promise<string> {
    const [row] = await query<{ id: string; token_generation: string }>(
      app,
      "select id, token_generation from flows where machine = 'recovery' and account_id = $1",
      [userId],
    );
    return createKeyring(app.secrets.masterKey).flowTokenFor(row!.id, Number(row!.token_generation));
  }

  const change = (token: string, current: string, next: string, extra = {}) =>
    app.call('POST', '/v1/users/change-password', {
      token,
      body: { current_password: current, new_password: next, ...extra },
    });

  test('changing it needs the present one, keeps sessions, and tells the verified address', async () => {
    const { accessToken: token, userId } = await limitedPerson(app);
    await giveEmail(app, userId, 'owner@example.com');
    expect((await change(token, 'Wrong-Password#1', NEW_PASSWORD)).status).toBe(401);
    expect((await change(token, PASSWORD, NEW_PASSWORD)).status).toBe(200);
    expect((await app.call('GET', '/v1/users/me', { token })).status).toBe(200);
    const mails = await query<{ payload: { template: string } }>(
      app,
      "select payload from outbox where topic = 'mail.send'",
    );
    expect(mails.map((m) => m.payload.template)).toContain('password_changed');
    expect((await change(token, PASSWORD, 'Third-Secret#2024')).status).toBe(401);
  });

  test('a new one may hold no name, user name or address of the person, changed or reset', async () => {
    const { accessToken: token, userId } = await wellKnown();
    const link = await resetLinkOf(userId);
    const weak = {
      status: 422,
      body: { code: 'weak_password', errors: [{ code: 'password_contains_identity' }] },
    };
    for (const known of ['Lovelace', 'Augusta', 'Noel', 'countess9', 'analytical', 'second-box']) {
      const next = `Xy7#${known}!Qw2z`;
      expect(await change(token, PASSWORD, next), known).toMatchObject(weak);
      const body = { token: link, new_password: next };
      expect(await app.call('POST', '/v1/auth/password/reset', { body }), known).toMatchObject(weak);
    }
    expect((await change(token, PASSWORD, NEW_PASSWORD)).status).toBe(200);
  });

  test('wrong guesses are throttled however parallel, and the throttle holds against the right one', async () => {
    const { accessToken: token } = await limitedPerson(app);
    const guesses = await Promise.all(
      Array.from({ length: 20 }, (_, i) => change(token, `Guess-Number#${i}`, NEW_PASSWORD)),
    );
    expect(guesses.filter((g) => g.status === 401).length).toBeLessThanOrEqual(5);
    expect(guesses.every((g) => [401, 429].includes(g.status))).toBe(true);
    expect((await change(token, PASSWORD, NEW_PASSWORD)).status).toBe(429);
  });
});

describe('deletion', () => {
  test('sessions end at once, the number stays taken for 30 days, then every trace of the person is erased', async () => {
    const { accessToken: token, userId, phone } = await limitedPerson(app);
    expect(
      (await app.call('DELETE', '/v1/users/me', { token, body: { password: 'Wrong-Password#1' } })).status,
    ).toBe(401);
    const gone = await app.call('DELETE', '/v1/users/me', { token, body: { password: PASSWORD } });
    expect(gone).toMatchObject({ status: 200, body: { sessions_revoked: 1 } });
    expect((await app.call('GET', '/v1/users/me', { token })).status).toBe(401);
    await app.relay.drain();
    expect(await query(app, 'select 1 from profiles where account_id = $1', [userId])).toHaveLength(1);
    app.clock.advance(30 * 86_400_000 + 1000);
    await app.relay.drain();
    for (const table of ['profiles', 'credentials', 'contacts', 'devices']) {
      expect(await query(app, `select 1 from ${table} where account_id = $1`, [userId]), table).toHaveLength(
        0,
      );
    }
    const dump = await query(app, 'select to_jsonb(c) as row from contacts c');
    expect(JSON.stringify(dump)).not.toContain(phone);
    expect(
      await query(app, "select 1 from audit_events where account_id = $1 and type = 'user.deleted'", [
        userId,
      ]),
    ).toHaveLength(1);
  });
});
