/** The `/balance_hub` contracts as their clients meet them: the documented walk, the cookie, and what nobody may learn. */
import { request } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cookieValueFor, readCookieValue } from '../../src/features/balance-hub/session-cookie.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { freshEmail, MAIL_PASSWORD, mailbox } from '../support/mail.ts';
import { query } from '../support/people.ts';
import { expectProblem } from './people.ts';

const NEW_PASSWORD = 'Another-Secret#2024';
const WIDE = Object.fromEntries(
  [
    'REGISTER',
    'REGISTER_NETWORK',
    'RECOVERY',
    'RECOVERY_NETWORK',
    'PASSWORD_RESET',
    'PASSWORD_RESET_NETWORK',
    'CODE_CHECK_NETWORK',
    'SET_PASSWORD_NETWORK',
    'PASSWORD_LOGIN_NETWORK',
    'NETWORK',
    'MAIL',
  ].map((name) => [`LIMIT_${name}`, '10000/1m']),
);

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: WIDE });
});
afterAll(() => app.close());

const hub = (path: string, body?: unknown, headers: Record<string, string> = {}) =>
  app.call('POST', `/balance_hub/auth/${path}`, { body, headers });
const update = (body: unknown, headers: Record<string, string>) =>
  app.call('PUT', '/balance_hub/auth/update-user', { body, headers });

let next = 0;
const freshName = () => `user${process.pid}x${++next}`;
const register = (email = freshEmail(), username = freshName()) =>
  hub('register', { username, email, password: MAIL_PASSWORD, full_name: 'Ada Byron' });
const logIn = (email: string, password = MAIL_PASSWORD) => hub('login', { email, password });

/** The `Cookie` header a browser would send after this answer. */
const jar = ({ headers }: { headers: Record<string, string | string[] | undefined> }) => ({
  cookie: String(headers['set-cookie']).split(';')[0]!,
});

async function person() {
  const [email, username] = [freshEmail(), freshName()];
  const registered = await register(email, username);
  const userId = registered.body.user_id as string;
  expect(await hub('verify-email', { user_id: userId, code: '000000' })).toMatchObject({ status: 200 });
  return { email, username, userId };
}

async function resetCode(email: string): Promise<string> {
  await hub('password/forget', { email });
  const mails = await mailbox(app, email);
  return /code=([\w.-]{66})/.exec(mails.map((mail) => mail.text).join('\n'))![1]!;
}

const events = (userId: string, type: string) =>
  query(app, "select 1 from outbox where account_id = $1 and payload->>'type' = $2", [userId, type]);

describe('the documented walk', () => {
  test('register, verify, log in, rename, log out, forget, reset, log in again', async () => {
    const [email, username] = [freshEmail(), freshName()];
    const registered = await register(email, username);
    expect(registered).toMatchObject({
      status: 201,
      body: {
        success: true,
        message: expect.any(String),
        user_id: expect.any(String),
        next_step: 'verify_email',
      },
    });
    const { user_id } = registered.body;
    expect(await hub('verify-email', { user_id, code: '000000' })).toMatchObject({
      status: 200,
      body: { success: true, message: expect.any(String), user_id },
    });
    const login = await logIn(email);
    const user = { id: user_id, username, email, full_name: 'Ada Byron', is_active: true, role: 'user' };
    expect(login).toMatchObject({ status: 200, body: { user, message: expect.any(String) } });
    expect(Object.keys(login.body.user).sort()).toEqual(
      [...Object.keys(user), 'created_at', 'updated_at'].sort(),
    );
    const renamed = await update({ username: `${username}b`, full_name: 'Ada Lovelace' }, jar(login));
    expect(renamed).toMatchObject({
      status: 200,
      body: { ...user, username: `${username}b`, full_name: 'Ada Lovelace' },
    });
    expect(await hub('logout', undefined, jar(login))).toMatchObject({ status: 200 });
    const code = await resetCode(email);
    expect(await hub('password/reset', { code, new_password: NEW_PASSWORD })).toMatchObject({ status: 200 });
    expect((await logIn(email)).status).toBe(401);
    expect((await logIn(email, NEW_PASSWORD)).status).toBe(200);
  });

  test('the account is the one /v1 knows', async () => {
    const { email, userId } = await person();
    const login = await app.call('POST', '/v1/auth/login', { body: { email, password: MAIL_PASSWORD } });
    expect(login.body).toMatchObject({
      user_id: userId,
      auth_status: 'AUTHENTICATED',
      account_tier: 'LIMITED',
    });
  });

  test('the root and health answer with the fields of this contract too', async () => {
    expect((await app.call('GET', '/')).body).toMatchObject({
      message: expect.any(String),
      version: expect.any(String),
      docs: '/docs',
    });
    expect((await app.call('GET', '/health')).body).toMatchObject({
      status: 'healthy',
      service: expect.any(String),
      timestamp: expect.any(String),
    });
  });
});

describe('register', () => {
  test('a username in use is a conflict in any case of letters, also 20 times at once', async () => {
    const username = freshName();
    expect((await register(freshEmail(), username)).status).toBe(201);
    const taken = await register(freshEmail(), username.toUpperCase());
    expectProblem(taken, 409, 'conflict');
    expect(taken.body.errors).toMatchObject([{ pointer: '/body/username', code: 'taken' }]);
    const raced = freshName();
    const answers = await Promise.all(Array.from({ length: 20 }, () => register(freshEmail(), raced)));
    expect(answers.map((a) => a.status).sort()).toEqual([201, ...Array(19).fill(409)]);
  });

  test('an address in use is answered like a free one', async () => {
    const { email } = await person();
    const [taken, free] = [await register(email), await register()];
    for (const answer of [taken, free]) expect(answer.status).toBe(201);
    const { user_id: _a, ...told } = taken.body;
    const { user_id: _b, ...other } = free.body;
    expect(told).toEqual(other);
    expect(Object.keys(taken.headers).sort()).toEqual(Object.keys(free.headers).sort());
  });

  test.each([
    ['too short', 'ab'],
    ['too long', 'a'.repeat(51)],
    ['a space', 'ada byron'],
    ['a look-alike letter', 'аda'],
    ['markup', '<b>ada'],
  ])('refuses a username with %s', async (_what, username) => {
    expectProblem(await register(freshEmail(), username), 400, 'validation_failed');
  });

  test('a weak password is refused, and one that holds the username', async () => {
    for (const password of ['Short-1', 'Xy9!Adabyron1815']) {
      const body = { username: 'Adabyron1815', email: freshEmail(), password };
      expectProblem(await hub('register', body), 422, 'weak_password');
    }
  });

  test('a sign-up that runs out frees its username', async () => {
    const username = freshName();
    await register(freshEmail(), username);
    app.clock.advance(31 * 86_400_000);
    await app.relay.drain();
    expect((await register(freshEmail(), username)).status).toBe(201);
  });
});

describe('verify-email', () => {
  test('wrong and unknown look alike; five guesses end the code, and new codes only help so often', async () => {
    const email = freshEmail();
    const { user_id } = (await register(email)).body;
    const wrong = await hub('verify-email', { user_id, code: '111111' });
    expectProblem(wrong, 400, 'invalid_code');
    const unknown = await hub('verify-email', {
      user_id: '0190f3c4-0000-7000-8000-00000000ffff',
      code: '111111',
    });
    expectProblem(unknown, 400, 'invalid_code');
    expect(Object.keys(unknown.body)).toEqual(Object.keys(wrong.body));
    for (let i = 0; i < 4; i++) await hub('verify-email', { user_id, code: '111111' });
    expectProblem(await hub('verify-email', { user_id, code: '000000' }), 429, 'rate_limited');
    // Another code may be guessed again, but the address keeps count of all guesses.
    await hub('resend-verification', { user_id });
    await app.relay.drain();
    expectProblem(await hub('verify-email', { user_id, code: '000000' }), 429, 'rate_limited');
  });

  test('an expired code is a wrong one', async () => {
    const { user_id } = (await register()).body;
    app.clock.advance(app.services.config.code.emailTtlS * 1000 + 1);
    expectProblem(await hub('verify-email', { user_id, code: '000000' }), 400, 'invalid_code');
  });

  test('opens no session', async () => {
    const { userId } = await person();
    expect(await query(app, 'select 1 from sessions where account_id = $1', [userId])).toEqual([]);
  });

  test('a second registration of a proven address ends in a conflict, not in an account nobody can enter', async () => {
    const email = freshEmail();
    const [first, second] = [(await register(email)).body, (await register(email)).body];
    await hub('verify-email', { user_id: first.user_id, code: '000000' });
    expectProblem(await hub('verify-email', { user_id: second.user_id, code: '000000' }), 409, 'conflict');
  });
});

describe('resend-verification', () => {
  test('by body or by query, known or not: one answer', async () => {
    const email = freshEmail();
    const { user_id } = (await register(email)).body;
    const nobody = '0190f3c4-0000-7000-8000-00000000fffe';
    const answers = [
      await hub('resend-verification', { user_id }),
      await hub('resend-verification', { email }),
      await hub(`resend-verification?user_id=${user_id}`),
      await hub('resend-verification', { user_id: nobody }),
      await hub('resend-verification', { email: freshEmail() }),
      await hub(`resend-verification?user_id=${nobody}`),
    ];
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 200, body: { success: true } });
      expect(answer.text).toBe(answers[0]!.text);
    }
  });

  test('names one account, once', async () => {
    const user_id = '0190f3c4-0000-7000-8000-00000000fffe';
    for (const answer of [
      await hub('resend-verification'),
      await hub('resend-verification', {}),
      await hub('resend-verification', { user_id, email: freshEmail() }),
      await hub(`resend-verification?user_id=${user_id}`, { user_id }),
      await hub('resend-verification', { user_id: 7 }),
    ])
      expectProblem(answer, 400, 'validation_failed');
  });

  test('verification still works after two resends', async () => {
    const email = freshEmail();
    const { user_id } = (await register(email)).body;
    for (let i = 0; i < 2; i++) {
      app.clock.advance(2000);
      await hub('resend-verification', { user_id });
      await app.relay.drain();
    }
    expect(await hub('verify-email', { user_id, code: '000000' })).toMatchObject({ status: 200 });
  });

  test('a password reset does not cancel the code of a sign-up', async () => {
    const email = freshEmail();
    const { user_id } = (await register(email)).body;
    await hub('password/forget', { email });
    await app.relay.drain();
    expect(await hub('verify-email', { user_id, code: '000000' })).toMatchObject({ status: 200 });
  });
});

describe('login and its cookie', () => {
  test('the cookie has the documented attributes and names no account', async () => {
    const { email, userId } = await person();
    const login = await logIn(email);
    const [value, ...attributes] = String(login.headers['set-cookie']).split('; ');
    expect(value).toMatch(/^access_token=[\w.-]{75}$/);
    expect(attributes.sort()).toEqual(['HttpOnly', 'Max-Age=1800', 'Path=/balance_hub', 'SameSite=Lax']);
    expect(login.text + value).not.toContain('eyJ');
    expect(value).not.toContain(userId);
  });

  test('it is Secure wherever the service is', async () => {
    const secure = await createTestApp({ env: { ...WIDE, PUBLIC_URL: 'https://id.example.com' } });
    try {
      const email = freshEmail();
      const call = (path: string, body: object) =>
        secure.call('POST', `/balance_hub/auth/${path}`, { body, headers: { host: 'id.example.com' } });
      const { user_id } = (await call('register', { username: freshName(), email, password: MAIL_PASSWORD }))
        .body;
      await call('verify-email', { user_id, code: '000000' });
      const login = await call('login', { email, password: MAIL_PASSWORD });
      expect(String(login.headers['set-cookie'])).toMatch(/; Secure/);
    } finally {
      await secure.close();
    }
  });

  test('wrong password, unknown address and an address that waits for its code: 401 and no cookie', async () => {
    const { email } = await person();
    const waiting = freshEmail();
    await register(waiting);
    const [wrong, unknown, unverified] = [
      await logIn(email, 'Wrong-Horse-77'),
      await logIn(freshEmail()),
      await logIn(waiting),
    ];
    for (const answer of [wrong, unknown, unverified]) {
      expectProblem(answer, 401, 'invalid_credentials');
      expect(answer.headers['set-cookie']).toBeUndefined();
    }
    expect(Object.keys(wrong.body)).toEqual(Object.keys(unknown.body));
    expect(wrong.body.detail).toBe(unknown.body.detail);
    expect(unverified.body).toMatchObject({ email_verified: false });
  });

  test('a due second factor is a 403 that says so, without a cookie; a known device is not asked', async () => {
    const { email, userId } = await person();
    const from = (device_fingerprint: string) =>
      hub('login', { email, password: MAIL_PASSWORD, device_fingerprint });
    expect((await from('device-one')).status).toBe(200);
    await query(app, "update credentials set pin_hash = 'set' where account_id = $1", [userId]);
    for (const due of [await from('device-two'), await logIn(email)]) {
      expectProblem(due, 403, 'access_denied');
      expect(due.body).toMatchObject({ detail: '2FA_REQUIRED', requires_2fa: true, factors: ['pin'] });
      expect(due.headers['set-cookie']).toBeUndefined();
    }
    const sessions = () => query(app, 'select 1 from sessions where account_id = $1', [userId]);
    expect(await sessions()).toHaveLength(1);
    expect((await from('device-one')).status).toBe(200);
    expect(await sessions()).toHaveLength(2);
  });

  test('a blocked account gets no cookie, and loses the one it has', async () => {
    const { email, userId } = await person();
    const login = await logIn(email);
    await query(app, "update accounts set status = 'blocked' where id = $1", [userId]);
    expectProblem(await logIn(email), 403, 'account_blocked');
    expectProblem(await update({ full_name: 'X' }, jar(login)), 401, 'invalid_token');
  });

  test('no other route takes the cookie', async () => {
    const { email } = await person();
    const answer = await app.call('GET', '/v1/users/me', { headers: jar(await logIn(email)) });
    expectProblem(answer, 401, 'unauthenticated');
  });

  test('the session ends with its cookie, not two weeks later; one of another way in goes on', async () => {
    const { email } = await person();
    const other = await app.call('POST', '/v1/auth/login', {
      body: { email, password: MAIL_PASSWORD, token_transport: 'body' },
    });
    await logIn(email);
    const sessions = async (token: string): Promise<{ expires_at: string; current: boolean }[]> =>
      (await app.call('GET', '/v1/auth/sessions', { token })).body.sessions;
    const hubs = (await sessions(other.body.access_token)).filter(({ current }) => !current);
    expect(hubs).toHaveLength(1);
    const left = Date.parse(hubs[0]!.expires_at) - app.clock.now();
    expect(left).toBeGreaterThan(1_700_000);
    expect(left).toBeLessThanOrEqual(1_800_000);
    app.clock.advance(1_800_001);
    const fresh = await app.call('POST', '/v1/auth/refresh', {
      body: { refresh_token: other.body.refresh_token },
    });
    expect((await sessions(fresh.body.access_token)).map(({ current }) => current)).toEqual([true]);
  });

  test('forged, altered, foreign and expired cookies are worth nothing', async () => {
    const { email } = await person();
    const login = await logIn(email);
    const good = jar(login).cookie;
    const own = app.services.keyring.key('cookie');
    const named = readCookieValue(own, good.slice('access_token='.length))!;
    const alterations = [
      'access_token=',
      'access_token=x',
      `${good.slice(0, -1)}${good.endsWith('A') ? 'B' : 'A'}`,
      `access_token=${cookieValueFor(Buffer.alloc(32, 7), named.sessionId, named.expiresAt)}`,
      `access_token=${'a'.repeat(75)}`,
    ];
    for (const cookie of alterations)
      expectProblem(await update({ full_name: 'X' }, { cookie }), 401, 'invalid_token');
    expectProblem(await update({ full_name: 'X' }, { cookie: 'other=1' }), 401, 'unauthenticated');
    expectProblem(await update({ full_name: 'X' }, {}), 401, 'unauthenticated');
    expect((await update({ full_name: 'X' }, { cookie: good })).status).toBe(200);
    app.clock.advance(1800 * 1000 + 1);
    expectProblem(await update({ full_name: 'X' }, { cookie: good }), 401, 'invalid_token');
  });
});

test('a cookie that is sent twice, in one header or in two, is 400 and changes nothing', async () => {
  const [one, other] = [await person(), await person()];
  const [a, b] = [jar(await logIn(one.email)).cookie, jar(await logIn(other.email)).cookie];
  const body = { full_name: 'Mixed Up' };
  for (const cookie of [`${a}; ${b}`, `${a}; ${a}`, `${a};access_token=`, `access_token=x; ${a}`]) {
    expectProblem(await update(body, { cookie }), 400, 'validation_failed');
    expectProblem(await hub('logout', undefined, { cookie }), 400, 'validation_failed');
    const keyed = { cookie, 'idempotency-key': `twice-${process.pid}-${++next}` };
    expectProblem(await hub('logout', undefined, keyed), 400, 'validation_failed');
  }
  const url = new URL(await app.server.listen({ host: '127.0.0.1', port: 0 }));
  const status = await new Promise((resolve, reject) =>
    request(
      {
        host: url.hostname,
        port: url.port,
        path: '/balance_hub/auth/logout',
        method: 'POST',
        agent: false,
        headers: ['Host', url.host, 'Cookie', a, 'Cookie', b, 'Content-Length', '0'],
      },
      (answer) => resolve(answer.resume().statusCode),
    )
      .on('error', reject)
      .end(),
  );
  expect(status).toBe(400);
  for (const cookie of [a, b]) expect((await update({ full_name: 'Ada King' }, { cookie })).status).toBe(200);
});

describe('logout', () => {
  test('ends the session of the cookie, and only that one', async () => {
    const { email, userId } = await person();
    const [here, there] = [await logIn(email), await logIn(email)];
    const out = await hub('logout', undefined, jar(here));
    expect(out).toMatchObject({ status: 200, body: { message: expect.any(String) } });
    expect(String(out.headers['set-cookie'])).toMatch(
      /^access_token=; (?=.*Path=\/balance_hub).*Expires=Thu, 01 Jan 1970/,
    );
    expectProblem(await update({ full_name: 'X' }, jar(here)), 401, 'invalid_token');
    expect((await update({ full_name: 'X' }, jar(there))).status).toBe(200);
    const ended = await query(
      app,
      'select revoke_reason from sessions where account_id = $1 and revoked_at is not null',
      [userId],
    );
    expect(ended).toEqual([{ revoke_reason: 'logout' }]);
  });

  test('is 200 without a cookie, with a spent and with a forged one', async () => {
    const { email } = await person();
    const login = await logIn(email);
    await hub('logout', undefined, jar(login));
    for (const headers of [{}, jar(login), { cookie: 'access_token=forged' }] as Record<string, string>[])
      expect((await hub('logout', undefined, headers)).status).toBe(200);
  });

  test('the list of sessions ends it as well', async () => {
    const { email } = await person();
    const cookie = jar(await logIn(email));
    const v1 = await app.call('POST', '/v1/auth/login', {
      body: { email, password: MAIL_PASSWORD, token_transport: 'body' },
    });
    const token = v1.body.access_token;
    await app.call('POST', '/v1/auth/logout', { token, body: { all_devices: true } });
    expectProblem(await update({ full_name: 'X' }, cookie), 401, 'invalid_token');
  });
});

describe('update-user', () => {
  test('never changes the password or the e-mail address', async () => {
    const { email, username } = await person();
    const cookie = jar(await logIn(email));
    const body = { username, password: NEW_PASSWORD, email: freshEmail(), full_name: 'Ada King' };
    expect(await update(body, cookie)).toMatchObject({ status: 200, body: { email, full_name: 'Ada King' } });
    expect((await logIn(email)).status).toBe(200);
    expect((await logIn(email, NEW_PASSWORD)).status).toBe(401);
    expect((await logIn(body.email, NEW_PASSWORD)).status).toBe(401);
  });

  test('a username in use is a conflict and changes nothing; the own one in other letters is fine', async () => {
    const [one, other] = [await person(), await person()];
    const cookie = jar(await logIn(one.email));
    const taken = await update({ username: other.username.toUpperCase(), full_name: 'Nobody' }, cookie);
    expectProblem(taken, 409, 'conflict');
    expect(taken.body.errors).toMatchObject([{ pointer: '/body/username' }]);
    expect(await update({ username: one.username.toUpperCase() }, cookie)).toMatchObject({
      status: 200,
      body: { username: one.username.toUpperCase(), full_name: 'Ada Byron' },
    });
  });

  test.each([
    ['a foreign origin', { origin: 'https://evil.example' }],
    ['another site without an origin', { 'sec-fetch-site': 'cross-site' }],
    ['an opaque origin', { origin: 'null' }],
  ])('%s is refused, for logout too', async (_what, headers) => {
    const { email } = await person();
    const cookie = jar(await logIn(email));
    const foreign = { ...cookie, ...(headers as Record<string, string>) };
    expectProblem(await update({ full_name: 'X' }, foreign), 403, 'foreign_origin');
    expectProblem(await hub('logout', undefined, foreign), 403, 'foreign_origin');
    const { publicUrl } = app.services.config;
    expect((await update({ full_name: 'X' }, { ...cookie, origin: new URL(publicUrl).origin })).status).toBe(
      200,
    );
  });
});

describe('password', () => {
  test('forget: known, unknown and unverified get one answer', async () => {
    const { email } = await person();
    const waiting = freshEmail();
    await register(waiting);
    const answers = [];
    for (const asked of [email, freshEmail(), waiting])
      answers.push(await hub('password/forget', { email: asked }));
    for (const answer of answers) {
      expect(answer).toMatchObject({ status: 200, text: answers[0]!.text });
      expect(Object.keys(answer.headers).sort()).toEqual(Object.keys(answers[0]!.headers).sort());
    }
  });

  test('reset ends every session, the cookie included; a spent code tells nothing about a password', async () => {
    const { email } = await person();
    const cookie = jar(await logIn(email));
    const code = await resetCode(email);
    expect(await hub('password/reset', { code, new_password: NEW_PASSWORD })).toMatchObject({
      status: 200,
      body: { message: expect.any(String) },
    });
    expectProblem(await update({ full_name: 'X' }, cookie), 401, 'invalid_token');
    expectProblem(await hub('password/reset', { code, new_password: NEW_PASSWORD }), 400, 'invalid_code');
  });

  test('malformed and expired codes look alike; the wrong length is a schema violation', async () => {
    const { email } = await person();
    const code = await resetCode(email);
    app.clock.advance(app.services.config.password.resetTtlS * 1000 + 1);
    const expired = await hub('password/reset', { code, new_password: NEW_PASSWORD });
    const malformed = await hub('password/reset', { code: 'x'.repeat(40), new_password: NEW_PASSWORD });
    for (const answer of [expired, malformed]) expectProblem(answer, 400, 'invalid_code');
    const { request_id: _a, ...one } = expired.body;
    const { request_id: _b, ...other } = malformed.body;
    expect(one).toEqual(other);
    for (const length of [31, 129]) {
      const answer = await hub('password/reset', { code: 'x'.repeat(length), new_password: NEW_PASSWORD });
      expectProblem(answer, 400, 'validation_failed');
    }
  });

  test('50 parallel resets with one code: one effect', async () => {
    const { email, userId } = await person();
    const code = await resetCode(email);
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        hub('password/reset', { code, new_password: `Parallel-Secret#${i}xyz` }),
      ),
    );
    expect(answers.filter((a) => a.status === 200)).toHaveLength(1);
    expect(answers.every((a) => [200, 400, 503].includes(a.status))).toBe(true);
    expect(await events(userId, 'password.reset_completed')).toHaveLength(1);
  });
});
