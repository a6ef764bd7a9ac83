/** Login by password: what is told when, who may be locked out by whom, and what a right password leads to. */
import { hashSync } from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { emailPerson, freshEmail, MAIL_PASSWORD, mailbox, register } from '../support/mail.ts';
import { giveEmail, limitedPerson, PASSWORD, PIN, query } from '../support/people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({
    env: {
      LIMIT_PASSWORD_LOGIN: '5/15m',
      LIMIT_REGISTER_NETWORK: '5000/1m',
      LIMIT_CODE_CHECK_NETWORK: '1000/1m',
      LIMIT_SET_PASSWORD_NETWORK: '1000/1m',
      LIMIT_PASSWORD_LOGIN_NETWORK: '5000/1m',
      LIMIT_CODE_SEND_NETWORK: '1000/1m',
      LIMIT_SECOND_FACTOR_NETWORK: '1000/1m',
      LIMIT_NETWORK: '10000/1m',
      LIMIT_MAIL: '1000/1m',
    },
  });
});
afterAll(() => app.close());

const login = (body: Record<string, unknown>) => app.call('POST', '/v1/auth/login', { body });
const WRONG = 'Wrong-Horse-77!';
const comparable = ({ request_id: _, ...body }: Record<string, unknown>) => body;

describe('a right password', () => {
  test('by e-mail answers as documented, the refresh token in a cookie', async () => {
    const { email, userId } = await emailPerson(app);
    const answer = await login({ email, password: MAIL_PASSWORD, persist_session: true });
    expect(answer).toMatchObject({
      status: 200,
      body: {
        auth_status: 'AUTHENTICATED',
        token_type: 'Bearer',
        expires_in: 900,
        refresh_token: null,
        account_tier: 'LIMITED',
        user: { user_id: userId, email, name: 'Ada Byron', roles: [], mfa_enabled: false },
      },
    });
    expect(String(answer.headers['set-cookie'])).toMatch(/HttpOnly.*SameSite/i);
    const me = await app.call('GET', '/v1/users/me', { token: answer.body.access_token });
    expect(me.body.user_id).toBe(userId);
  });

  test('the refresh token goes into the body when asked to', async () => {
    const { email } = await emailPerson(app);
    const answer = await login({ email, password: MAIL_PASSWORD, token_transport: 'body' });
    expect(answer.body.refresh_token).toMatch(/^[\w-]+\.[\w-]+$/);
    expect(answer.headers['set-cookie']).toBeUndefined();
  });

  test('by phone, a new device answers the PIN before any token exists', async () => {
    const person = await limitedPerson(app);
    const asked = await login({ phone: person.phone, password: PASSWORD, device_fingerprint: 'device-two' });
    expect(asked.body).toMatchObject({ auth_status: 'STEP_UP_REQUIRED', factors: ['pin'] });
    expect(asked.body.access_token).toBeUndefined();
    expect(asked.body.user).toBeUndefined();
    const done = await app.call('POST', '/v1/auth/login/step-up', {
      body: { flow_token: asked.body.flow_token, pin: PIN },
    });
    expect(done.body).toMatchObject({ auth_status: 'AUTHENTICATED', user_id: person.userId });
    const known = await login({ phone: person.phone, password: PASSWORD, device_fingerprint: 'device-one' });
    expect(known.body).toMatchObject({ auth_status: 'AUTHENTICATED' });
  });

  test('for an address that waits for its code says so, and where to go on', async () => {
    const email = freshEmail();
    const registered = await register(app, email);
    expect(await login({ email, password: WRONG })).toMatchObject({ status: 401 });
    const answer = await login({ email, password: MAIL_PASSWORD });
    expect(answer).toMatchObject({
      status: 403,
      body: { code: 'email_not_verified', user_id: registered.body.user_id, auth_status: 'DENIED' },
    });
    expect(answer.body.next.map((a: { href: string }) => a.href)).toEqual([
      '/v1/auth/resend-verification',
      '/v1/auth/verify-email',
    ]);
  });

  test('of a blocked account is told so, and gets nothing', async () => {
    const { email, userId } = await emailPerson(app);
    await query(app, "update accounts set status = 'blocked', event_seq = event_seq + 1 where id = $1", [
      userId,
    ]);
    expect(await login({ email, password: WRONG })).toMatchObject({
      status: 401,
      body: { code: 'invalid_credentials' },
    });
    expect(await login({ email, password: MAIL_PASSWORD })).toMatchObject({
      status: 403,
      body: { code: 'account_blocked' },
    });
  });

  test('replaces an old hash by one of today in the same request', async () => {
    const { email, userId } = await emailPerson(app);
    const old = hashSync(MAIL_PASSWORD, 4);
    await query(app, 'update credentials set password_hash = $1 where account_id = $2', [old, userId]);
    expect((await login({ email, password: MAIL_PASSWORD })).status).toBe(200);
    const [row] = await query<{ password_hash: string }>(
      app,
      'select password_hash from credentials where account_id = $1',
      [userId],
    );
    expect(row?.password_hash).toMatch(/^bound\$argon2id\$/);
    expect((await login({ email, password: MAIL_PASSWORD })).status).toBe(200);
  });

  test('from an unknown device is told to the owner, from a known one not', async () => {
    const { email } = await emailPerson(app);
    const before = (await mailbox(app, email)).length;
    await login({ email, password: MAIL_PASSWORD, device_fingerprint: 'device-one' });
    expect(await mailbox(app, email)).toHaveLength(before);
    await login({ email, password: MAIL_PASSWORD, device_fingerprint: 'device-new' });
    expect((await mailbox(app, email))[0]).toMatchObject({ subject: 'New login to Vestibule' });
    await login({ email, password: MAIL_PASSWORD, device_fingerprint: 'device-new' });
    expect(await mailbox(app, email)).toHaveLength(before + 1);
  });

  test('without a device id the owner is told once per place, not at every login', async () => {
    const person = await limitedPerson(app);
    const email = freshEmail();
    await giveEmail(app, person.userId, email);
    await query(app, 'update credentials set pin_hash = null where account_id = $1', [person.userId]);
    const elsewhere = { remoteAddress: '203.0.113.9', body: { email, password: PASSWORD } };
    for (let i = 0; i < 3; i++) await app.call('POST', '/v1/auth/login', elsewhere);
    expect(await mailbox(app, email)).toHaveLength(1);
  });
});

test('somebody else’s display name that is the victim’s address finds nobody and locks nobody out', async () => {
  const victim = await emailPerson(app);
  const theirs = freshEmail();
  const registered = await register(app, theirs, { name: victim.email, password: 'Attackers-Own-1' });
  await app.call('POST', '/v1/auth/verify-email', {
    body: { user_id: registered.body.user_id, code: '000000' },
  });
  const byName = await login({ email: victim.email, password: 'Attackers-Own-1' });
  expect(byName.status).toBe(401);
  expect(await login({ email: theirs, password: 'Attackers-Own-1' })).toMatchObject({
    status: 200,
    body: { user: { name: victim.email, email: theirs } },
  });
  for (let i = 0; i < 100; i++) await login({ email: victim.email, password: WRONG });
  const owner = await login({
    email: victim.email,
    password: MAIL_PASSWORD,
    device_fingerprint: 'device-one',
  });
  expect(owner).toMatchObject({ status: 200, body: { user_id: victim.userId } });
  // A username is a public name, and no address can be one.
  const username = await app.call('POST', '/balance_hub/auth/register', {
    body: { username: victim.email, email: freshEmail(), password: 'Attackers-Own-1' },
  });
  expect(username.status).toBe(400);
});

describe('a wrong password', () => {
  test('looks the same for unknown, known, blocked and password-less accounts', async () => {
    const known = await emailPerson(app);
    const blocked = await emailPerson(app);
    await query(app, "update accounts set status = 'blocked', event_seq = event_seq + 1 where id = $1", [
      blocked.userId,
    ]);
    const bare = await emailPerson(app);
    await query(app, 'update credentials set password_hash = null where account_id = $1', [bare.userId]);
    const answers = [];
    for (const email of [freshEmail(), known.email, blocked.email, bare.email])
      answers.push(await login({ email, password: WRONG }));
    for (const answer of answers) {
      expect(answer.status).toBe(401);
      expect(comparable(answer.body)).toEqual(comparable(answers[0]?.body));
      expect(Object.keys(answer.headers)).toEqual(Object.keys(answers[0]?.headers ?? {}));
    }
  });

  test('is refused after five, at the same count for known and unknown, right or wrong', async () => {
    const { email } = await emailPerson(app);
    for (const address of [email, freshEmail()]) {
      const statuses = [];
      for (let i = 0; i < 6; i++) statuses.push((await login({ email: address, password: WRONG })).status);
      expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
      const right = await login({ email: address.toUpperCase(), password: MAIL_PASSWORD });
      expect(right.status).toBe(429);
      expect(Number(right.headers['retry-after'])).toBeGreaterThan(890);
    }
  });

  test('from elsewhere never locks out a device the account knows', async () => {
    const { email } = await emailPerson(app);
    for (let i = 0; i < 7; i++) await login({ email, password: WRONG });
    const owner = await login({ email, password: MAIL_PASSWORD, device_fingerprint: 'device-one' });
    expect(owner).toMatchObject({ status: 200, body: { auth_status: 'AUTHENTICATED' } });
    expect((await login({ email, password: MAIL_PASSWORD, device_fingerprint: 'device-x1' })).status).toBe(
      429,
    );
    for (let i = 0; i < 5; i++) await login({ email, password: WRONG, device_fingerprint: 'device-one' });
    expect((await login({ email, password: MAIL_PASSWORD, device_fingerprint: 'device-one' })).status).toBe(
      429,
    );
  });

  test('counts against the account: its address and its phone share five guesses, and a known device has its own', async () => {
    const person = await limitedPerson(app);
    const email = freshEmail();
    await giveEmail(app, person.userId, email);
    const bodies = [{ email }, { phone: person.phone }];
    const statuses = [];
    for (let i = 0; i < 6; i++) statuses.push((await login({ ...bodies[i % 2], password: WRONG })).status);
    expect(statuses).toEqual([401, 401, 401, 401, 401, 429]);
    for (const body of bodies) expect((await login({ ...body, password: PASSWORD })).status).toBe(429);
    const owner = await login({ email, password: PASSWORD, device_fingerprint: 'device-one' });
    expect(owner).toMatchObject({ status: 200, body: { auth_status: 'AUTHENTICATED' } });
  });

  test('by one identifier is forgiven after a right password by the other', async () => {
    const person = await limitedPerson(app);
    const email = freshEmail();
    await giveEmail(app, person.userId, email);
    for (let i = 0; i < 4; i++) await login({ phone: person.phone, password: WRONG });
    expect((await login({ email, password: PASSWORD })).status).toBe(200);
    for (let i = 0; i < 4; i++)
      expect((await login({ phone: person.phone, password: WRONG })).status).toBe(401);
  });

  test('counted while an address waits for its code does not lock the account it comes to belong to', async () => {
    const email = freshEmail();
    const { body } = await register(app, email);
    for (let i = 0; i < 6; i++) await login({ email, password: WRONG });
    expect((await login({ email, password: MAIL_PASSWORD })).status).toBe(429);
    const verified = await app.call('POST', '/v1/auth/verify-email', {
      body: { user_id: body.user_id, code: '000000' },
    });
    expect(verified.body.account_tier).toBe('LIMITED');
    expect((await login({ email, password: MAIL_PASSWORD })).status).toBe(200);
  });

  test('makes the next wait twice as long each time the window fills up', async () => {
    const email = freshEmail();
    const waits = [];
    for (let round = 0; round < 3; round++) {
      for (let i = 0; i < 5; i++) await login({ email, password: WRONG });
      const wait = Number((await login({ email, password: WRONG })).headers['retry-after']);
      waits.push(Math.round(wait / 900));
      app.clock.advance(wait * 1000 + 1000);
    }
    expect(waits).toEqual([1, 2, 4]);
  });

  test('counts start anew after a right one', async () => {
    const { email } = await emailPerson(app);
    for (let i = 0; i < 4; i++) await login({ email, password: WRONG });
    expect((await login({ email, password: MAIL_PASSWORD })).status).toBe(200);
    for (let i = 0; i < 4; i++) expect((await login({ email, password: WRONG })).status).toBe(401);
  });

  test('guessed in parallel gets five answers at most, and the right one among them is refused after that', async () => {
    const { email } = await emailPerson(app);
    const guesses = await Promise.all(Array.from({ length: 40 }, () => login({ email, password: WRONG })));
    expect(guesses.filter((g) => g.status === 401).length).toBeLessThanOrEqual(5);
    expect((await login({ email, password: MAIL_PASSWORD })).status).toBe(429);
  });

  test('is audited without the address or the password', async () => {
    const email = freshEmail();
    await login({ email, password: WRONG });
    const rows = await query<{ row: string }>(
      app,
      "select to_jsonb(a)::text as row from audit_events a where type = 'login.failed' order by id desc limit 1",
    );
    expect(rows[0]?.row).toContain('"outcome": "failure"');
    expect(rows[0]?.row).not.toContain(email);
    expect(rows[0]?.row).not.toContain(WRONG);
  });
});

test.each([
  {},
  { email: 'a@example.com', phone: '+12125550100' },
  { email: ['a@example.com'] },
  { email: 'a@example.com', password: 'x'.repeat(1025) },
])('a body that names nobody or two is refused: %j', async (body) => {
  expect((await login({ password: WRONG, ...body })).status).toBe(400);
});
