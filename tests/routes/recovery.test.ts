/** Password recovery as an owner and as an attacker meet it. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { giveEmail, limitedPerson, PASSWORD, query } from '../support/people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({
    env: {
      FRONTEND_URL: 'https://app.vestibule.example',
      LIMIT_RECOVERY: '1000/1h',
      LIMIT_RECOVERY_NETWORK: '1000/1h',
      LIMIT_PASSWORD_RESET_NETWORK: '1000/1h',
    },
  });
});
afterAll(() => app.close());

const NEW_PASSWORD = 'Another-Secret#2024';
const ask = (email: unknown) => app.call('POST', '/v1/auth/password/reset-request', { body: { email } });
const reset = (token: unknown, password = NEW_PASSWORD) =>
  app.call('POST', '/v1/auth/password/reset', { body: { token, new_password: password } });

async function latestToken(userId: string): Promise<string> {
  const [row] = await query<{ id: string; token_generation: string }>(
    app,
    `select id, token_generation from flows where machine = 'recovery' and account_id = $1 order by created_at desc limit 1`,
    [userId],
  );
  return createKeyring(app.secrets.masterKey).flowTokenFor(row!.id, Number(row!.token_generation));
}

async function owner(email: string) {
  const person = await limitedPerson(app);
  await giveEmail(app, person.userId, email);
  return person;
}

describe('asking', () => {
  test('known, unknown and blocked addresses get the same answer', async () => {
    const person = await owner('known@example.com');
    const blocked = await owner('blocked@example.com');
    await query(app, "update accounts set status = 'blocked' where id = $1", [blocked.userId]);
    const answers = await Promise.all(
      ['known@example.com', 'nobody@example.com', 'blocked@example.com'].map((e) => ask(e)),
    );
    const shapes = answers.map((a) => ({
      status: a.status,
      keys: Object.keys(a.body),
      headers: Object.keys(a.headers).sort(),
      message: a.body.message,
    }));
    expect(shapes[1]).toEqual(shapes[0]);
    expect(shapes[2]).toEqual(shapes[0]);
    expect(answers[0]!.status).toBe(200);
    const mails = await query(
      app,
      "select payload from outbox where topic = 'mail.send' and payload->>'template' = 'reset'",
    );
    expect(mails).toHaveLength(1);
    expect(person.userId).toBeTruthy();
  });

  test.each([
    [['a@b.co', 'c@d.co']],
    ['a@b.co,c@d.co'],
    ['"e@a.co"@b.co'],
    ['a\uff20b.co'],
    [{ $gt: '' }],
    [''],
  ])('an address like %j is refused and nobody is written to', async (email) => {
    const before = await query(app, "select count(*)::int as n from outbox where topic = 'mail.send'");
    expect((await ask(email)).status).toBe(400);
    expect(await query(app, "select count(*)::int as n from outbox where topic = 'mail.send'")).toEqual(
      before,
    );
  });
});

test.each([
  ['Host', { host: 'evil.example' }],
  ['X-Forwarded-Host', { 'x-forwarded-host': 'evil.example', 'x-forwarded-proto': 'http' }],
  ['Forwarded', { forwarded: 'for=1.2.3.4;host=evil.example;proto=http' }],
  [
    'others',
    {
      'x-host': 'evil.example',
      'x-original-host': 'evil.example',
      origin: 'https://evil.example',
      referer: 'https://evil.example/',
    },
  ],
])(
  'the mailed link leads to the configured front end whatever the request says in %s',
  async (name, headers) => {
    const email = `link-${name.toLowerCase()}@example.com`;
    await owner(email);
    const answer = await app.call('POST', '/v1/auth/password/reset-request', { body: { email }, headers });
    expect(answer.status).toBe(200);
    await app.relay.drain();
    const [mail] = await app.services.inbox!.list({ to: email, channel: 'mail' });
    const links = [...JSON.stringify(mail).matchAll(/https?:\/\/[^\s"'<>\\]+/g)].map(([link]) => link);
    expect(links.length).toBeGreaterThan(0);
    for (const link of links) expect(link).toMatch(/^https:\/\/app\.vestibule\.example(\/|$)/);
    expect(JSON.stringify(mail) + answer.text).not.toContain('evil.example');
  },
);

describe('resetting', () => {
  test('the token sets the password once, ends every session, and is then worth nothing', async () => {
    const person = await owner('once@example.com');
    await ask('once@example.com');
    const token = await latestToken(person.userId);
    const done = await reset(token);
    expect(done).toMatchObject({ status: 200, body: { user_id: person.userId, state: 'completed' } });
    expect((await app.call('GET', '/v1/users/me', { token: person.accessToken })).status).toBe(401);
    const again = await reset(token, 'Yet-Another#Secret9');
    expect(again).toMatchObject({ status: 400, body: { code: 'invalid_code' } });
  });

  test('a stolen refresh token is worth nothing after it, however fresh', async () => {
    const person = await owner('stolen@example.com');
    const refresh = (refresh_token: string) =>
      app.call('POST', '/v1/auth/refresh', { body: { refresh_token } });
    const stolen = (await refresh(person.refreshToken)).body.refresh_token;
    expect(stolen).toBeTruthy();
    await ask('stolen@example.com');
    expect((await reset(await latestToken(person.userId))).status).toBe(200);
    for (const token of [stolen, person.refreshToken]) expect((await refresh(token)).status).toBe(401);
    app.clock.advance(11_000);
    expect((await refresh(stolen)).status).toBe(401);
  });

  test.each([[{ $gt: '' }], [[]], [null], [undefined], [true], [0], [['x'.repeat(66)]], [{ toString: 'x' }]])(
    'a token that is %j is 400 and looked up nowhere',
    async (token) => {
      expect(await reset(token)).toMatchObject({ status: 400, body: { code: 'validation_failed' } });
    },
  );

  test('the beginning of a token, or more than it, is no token', async () => {
    const person = await owner('prefix@example.com');
    await ask('prefix@example.com');
    const token = await latestToken(person.userId);
    for (const cut of [
      token.slice(0, 22),
      token.slice(0, 23),
      token.slice(0, 65),
      `${token}A`,
      ` ${token}`,
      token.toUpperCase(),
    ])
      expect((await reset(cut)).status, cut).toBe(400);
    expect((await reset(token)).status).toBe(200);
  });

  test('20 parallel resets with one token: exactly one succeeds', async () => {
    const person = await owner('race@example.com');
    await ask('race@example.com');
    const token = await latestToken(person.userId);
    const answers = await Promise.all(
      Array.from({ length: 20 }, (_, i) => reset(token, `Parallel-Secret#${i}xyz`)),
    );
    expect(answers.filter((a) => a.status === 200)).toHaveLength(1);
    expect(answers.every((a) => [200, 400, 503].includes(a.status))).toBe(true);
    const events = await query(
      app,
      "select 1 from outbox where account_id = $1 and payload->>'type' = 'password.reset_completed'",
      [person.userId],
    );
    expect(events).toHaveLength(1);
  });

  test('a second request kills the first token; half an hour kills any', async () => {
    const person = await owner('second@example.com');
    await ask('second@example.com');
    const first = await latestToken(person.userId);
    app.clock.advance(2000);
    await ask('second@example.com');
    const second = await latestToken(person.userId);
    expect((await reset(first)).body.code).toBe('invalid_code');
    app.clock.advance(31 * 60_000);
    expect((await reset(second)).body.code).toBe('invalid_code');
  });

  test('a password changed meanwhile voids the token', async () => {
    const person = await owner('meanwhile@example.com');
    await ask('meanwhile@example.com');
    const token = await latestToken(person.userId);
    await query(app, 'update credentials set password_version = password_version + 1 where account_id = $1', [
      person.userId,
    ]);
    expect((await reset(token)).body.code).toBe('invalid_code');
  });

  test('a link sent to an address the owner has removed since sets no password, and tells nothing of the present one', async () => {
    const person = await owner('hijacked@example.com');
    await ask('hijacked@example.com');
    const token = await latestToken(person.userId);
    const listed = await app.call('GET', '/v1/users/me/contacts', { token: person.accessToken });
    const { contact_id: id } = listed.body.contacts.find((c: { type: string }) => c.type === 'email');
    const removed = await app.call('DELETE', `/v1/users/me/contacts/${id}`, {
      token: person.accessToken,
      body: { current_password: PASSWORD },
    });
    expect(removed.status).toBe(200);
    for (const password of [NEW_PASSWORD, PASSWORD, 'short'])
      expect(await reset(token, password)).toMatchObject({ status: 400, body: { code: 'invalid_code' } });
    expect((await app.call('GET', '/v1/users/me', { token: person.accessToken })).status).toBe(200);
  });

  test('nor does it once somebody else has proven the address', async () => {
    const [person, other] = [await owner('moved-on@example.com'), await limitedPerson(app)];
    await ask('moved-on@example.com');
    const token = await latestToken(person.userId);
    await query(app, "update contacts set account_id = $1 where canonical = 'moved-on@example.com'", [
      other.userId,
    ]);
    expect(await reset(token)).toMatchObject({ status: 400, body: { code: 'invalid_code' } });
  });

  test('expired, used, foreign and malformed tokens look alike', async () => {
    const person = await limitedPerson(app);
    const foreign = createKeyring(app.secrets.masterKey).flowTokenFor(person.flowId, 1);
    const answers = await Promise.all([foreign, 'x'.repeat(66), 'y'.repeat(40)].map((t) => reset(t)));
    const shown = answers.map(({ status, body: { request_id: _id, ...body } }) => ({ status, body }));
    expect(shown[1]).toEqual(shown[0]);
    expect(shown[2]).toEqual(shown[0]);
  });

  test('however many malformed tokens were tried elsewhere, another one is answered like a used one', async () => {
    const malformed = (n: number) =>
      app.call('POST', '/v1/auth/password/reset', {
        body: { token: 'z'.repeat(40 + n), new_password: NEW_PASSWORD },
        remoteAddress: `198.51.100.${n}`,
      });
    for (let n = 1; n <= 25; n++)
      expect(await malformed(n)).toMatchObject({ status: 400, body: { code: 'invalid_code' } });
  });

  test('a weak or unchanged password is refused and the token stays good', async () => {
    const person = await owner('weak@example.com');
    await ask('weak@example.com');
    const token = await latestToken(person.userId);
    expect(await reset(token, 'short')).toMatchObject({ status: 422, body: { code: 'weak_password' } });
    expect(await reset(token, PASSWORD)).toMatchObject({ status: 422, body: { code: 'weak_password' } });
    expect((await reset(token)).status).toBe(200);
  });
});

test('a new password ends the wait that wrong guesses at the old one have earned', async () => {
  const person = await owner('waiting@example.com');
  const login = (password: string) =>
    app.call('POST', '/v1/auth/login', { body: { email: 'waiting@example.com', password } });
  await expect.poll(async () => (await login('Wrong-Password#1')).status, { timeout: 10_000 }).toBe(429);
  await ask('waiting@example.com');
  await reset(await latestToken(person.userId));
  expect((await login(NEW_PASSWORD)).status).toBe(200);
});

describe('a reset ends what was under way', () => {
  const verify = (token: string, phone: string) =>
    app.call('POST', '/v1/auth/verify-otp', {
      token,
      body: { phone, otp: '000000', device_id: 'device-one' },
    });

  test('a login code sent before it opens no session, one sent afterwards does', async () => {
    const person = await owner('codes@example.com');
    const sent = await app.call('POST', '/v1/auth/send-otp', { body: { phone: person.phone } });
    await ask('codes@example.com');
    expect((await reset(await latestToken(person.userId))).status).toBe(200);
    expect((await verify(sent.body.flow_token, person.phone)).status).toBe(409);
    app.clock.advance(4000);
    const again = await app.call('POST', '/v1/auth/send-otp', { body: { phone: person.phone } });
    expect(await verify(again.body.flow_token, person.phone)).toMatchObject({
      status: 200,
      body: { auth_status: 'AUTHENTICATED' },
    });
  });

  test('a contact that waits for its code is not added, not even by the owner’s next session', async () => {
    const person = await owner('pending@example.com');
    const added = await app.call('POST', '/v1/users/me/contacts', {
      token: person.accessToken,
      body: { type: 'email', value: 'thief@example.com', current_password: PASSWORD },
    });
    expect(added.status).toBe(202);
    await ask('pending@example.com');
    expect((await reset(await latestToken(person.userId))).status).toBe(200);
    app.clock.advance(4000);
    const sent = await app.call('POST', '/v1/auth/send-otp', { body: { phone: person.phone } });
    const { access_token: token } = (await verify(sent.body.flow_token, person.phone)).body;
    const answer = await app.call('POST', '/v1/users/me/contacts/verify', {
      token,
      body: { flow_token: added.body.flow_token, code: '000000' },
    });
    expect(answer.status).toBe(409);
    const { contacts } = (await app.call('GET', '/v1/users/me/contacts', { token })).body;
    expect(contacts.map(({ value }: { value: string }) => value)).not.toContain('thief@example.com');
  });

  test('codes of other people stay good', async () => {
    const [person, other] = [await owner('mine@example.com'), await owner('other@example.com')];
    const sent = await app.call('POST', '/v1/auth/send-otp', { body: { phone: other.phone } });
    await ask('mine@example.com');
    expect((await reset(await latestToken(person.userId))).status).toBe(200);
    expect((await verify(sent.body.flow_token, other.phone)).status).toBe(200);
  });
});
