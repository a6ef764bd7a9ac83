/** Passkeys through the API: made behind a step-up, used as first and second factor, refused when anything about them is wrong. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { type Authenticator, createAuthenticator, type Twist } from '../support/authenticator.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { emailPerson, MAIL_PASSWORD, mailbox } from '../support/mail.ts';
import { query } from '../support/people.ts';
import { claimsOf, expectProblem } from './people.ts';

let app: TestApp;
const ORIGIN = 'https://login.example.org';
beforeAll(async () => {
  app = await createTestApp({
    env: {
      ...LIMITS_OFF,
      FRONTEND_URL: ORIGIN,
      PASSKEY_RP_ID: 'example.org',
      PASSKEY_ORIGINS: 'https://shop.example.com',
      LIMIT_SECOND_FACTOR: '5/15m',
    },
  });
});
afterAll(() => app.close());

const post = (path: string, body: unknown, token?: string) => app.call('POST', path, { body, token });
const passwordLogin = (email: string) =>
  post('/v1/auth/login', { email, password: MAIL_PASSWORD, token_transport: 'body' });

/** Signed in with a password just now. */
async function person() {
  const { email, userId } = await emailPerson(app);
  return { email, userId, token: (await passwordLogin(email)).body.access_token as string };
}
async function enrol(token: string, key: Authenticator, twist: Twist = {}, label?: string) {
  const begun = await post('/v1/passkeys/options', label === undefined ? {} : { label }, token);
  if (begun.status !== 200) throw new Error(`no options: ${begun.text}`);
  return post('/v1/passkeys', { credential: key.create(begun.body.options, twist) }, token);
}
async function withPasskey(options: { synced?: boolean } = {}) {
  const someone = await person();
  const key = createAuthenticator(ORIGIN, options);
  const enrolled = await enrol(someone.token, key);
  expect(enrolled.status).toBe(200);
  // The next challenge is younger than the use that confirmed it.
  app.clock.advance(1000);
  return { ...someone, key, factorId: enrolled.body.factor_id as string };
}
const loginOptions = async () => (await post('/v1/auth/passkey/options', undefined)).body.options;
const passkeyLogin = (credential: unknown) => post('/v1/auth/passkey', { credential });
const logIn = async (key: Authenticator, twist: Twist = {}) => {
  const answer = await passkeyLogin(key.get(await loginOptions(), twist));
  app.clock.advance(1000);
  return answer;
};

describe('registration', () => {
  test('options ask for a discoverable credential that verifies its user, in algorithms that authenticators have', async () => {
    const { token, userId } = await person();
    const { body, status } = await post('/v1/passkeys/options', undefined, token);
    expect(status).toBe(200);
    expect(body.options).toMatchObject({
      rp: { id: 'example.org' },
      attestation: 'none',
      authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
    });
    expect(body.options.pubKeyCredParams.map(({ alg }: { alg: number }) => alg)).toEqual([-8, -7, -257]);
    const handle = Buffer.from(body.options.user.id, 'base64url').toString('hex');
    expect(handle).toBe(userId.replaceAll('-', ''));
    // What waits for the browser is no second factor yet.
    expect((await app.call('GET', '/v1/passkeys', { token })).body.passkeys).toEqual([]);
  });

  test('asks for a fresh proof of the owner', async () => {
    const { token } = await person();
    app.clock.advance(301_000);
    expectProblem(await post('/v1/passkeys/options', {}, token), 401, 'step_up_required');
    expect((await post('/v1/passkeys/options', { password: MAIL_PASSWORD }, token)).status).toBe(200);
  });

  test('tells the owner, gives backup codes once, downgrades other sessions; is listed, renamed, removed', async () => {
    const { token, email } = await person();
    const other = (await passwordLogin(email)).body.access_token;
    const key = createAuthenticator(ORIGIN, { synced: true });
    const enrolled = await enrol(token, key, {}, 'Laptop');
    expect(enrolled).toMatchObject({
      status: 200,
      body: { state: 'confirmed', passkeys: [{ label: 'Laptop', synced: true, backed_up: true }] },
    });
    expect(new Set(enrolled.body.backup_codes).size).toBe(8);
    expect((await mailbox(app, email)).map((m) => m.subject).join()).toContain('second factor was added');
    expectProblem(await post('/v1/passkeys/options', {}, other), 401, 'step_up_required');

    app.clock.advance(1000);
    const fresh = (await logIn(key)).body.access_token;
    const second = await enrol(fresh, createAuthenticator(ORIGIN));
    expect(second.body.backup_codes).toBeUndefined();
    const id = second.body.factor_id;
    const renamed = await app.call('PATCH', `/v1/passkeys/${id}`, {
      body: { label: 'Key ring' },
      token: fresh,
    });
    expect(renamed.body.passkeys.map(({ label }: { label: string }) => label)).toEqual([
      'Laptop',
      'Key ring',
    ]);
    expectProblem(await app.call('DELETE', `/v1/passkeys/${id}`, { token: other }), 401, 'step_up_required');
    const removed = await app.call('DELETE', `/v1/passkeys/${id}`, { token: fresh });
    expect(removed).toMatchObject({ status: 200, body: { mfa_enabled: true } });
    const last = await app.call('DELETE', `/v1/passkeys/${enrolled.body.factor_id}`, { token: fresh });
    expect(last.body).toMatchObject({ mfa_enabled: false });
    expect((await mailbox(app, email)).map((m) => m.subject).join()).toContain('second factor was removed');
    expect((await logIn(key)).status).toBe(401);
    expect((await passwordLogin(email)).body.auth_status).toBe('AUTHENTICATED');
  });

  test.each<[string, Twist]>([
    ['another origin', { origin: 'https://evil.example' }],
    ['another relying party', { rpId: 'evil.example' }],
    ['an unverified user', { flags: 0x01 }],
    ['a challenge of its own making', { challenge: Buffer.alloc(48, 7).toString('base64url') }],
  ])('refuses %s', async (_, twist) => {
    const { token, email } = await person();
    expectProblem(await enrol(token, createAuthenticator(ORIGIN), twist), 401, 'invalid_credentials');
    expect((await passwordLogin(email)).body.auth_status).toBe('AUTHENTICATED');
  });

  test('refuses the answer to another account’s options, and one credential on two accounts', async () => {
    const [one, two] = [await person(), await person()];
    const key = createAuthenticator(ORIGIN);
    const { options } = (await post('/v1/passkeys/options', {}, one.token)).body;
    await post('/v1/passkeys/options', {}, two.token);
    const credential = key.create(options);
    expectProblem(await post('/v1/passkeys', { credential }, two.token), 401, 'invalid_credentials');
    expect((await post('/v1/passkeys', { credential }, one.token)).status).toBe(200);
    expectProblem(await post('/v1/passkeys', { credential }, one.token), 409, 'conflict');
    expectProblem(await enrol(two.token, key), 409, 'conflict');
  });

  test('a related origin may use the passkeys, and is listed for browsers', async () => {
    const { token } = await person();
    const key = createAuthenticator('https://shop.example.com');
    expect((await enrol(token, key)).status).toBe(200);
    const { body } = await app.call('GET', '/.well-known/webauthn');
    expect(body.origins).toEqual(expect.arrayContaining([ORIGIN, 'https://shop.example.com']));
  });
});

describe('login', () => {
  test.each([true, false])('is aal2 by itself and names no account before (synced: %s)', async (synced) => {
    const { key, userId } = await withPasskey({ synced });
    const options = await loginOptions();
    expect(options).toMatchObject({ rpId: 'example.org', userVerification: 'required' });
    expect(options.allowCredentials ?? []).toEqual([]);
    const { status, body } = await passkeyLogin(key.get(options));
    expect(status).toBe(200);
    expect(body).toMatchObject({ auth_status: 'AUTHENTICATED', user_id: userId });
    const claims = claimsOf(body.access_token);
    expect(claims.acr).toBe('aal2');
    expect(claims.amr).toEqual(expect.arrayContaining(['mfa', synced ? 'swk' : 'hwk']));
  });

  test.each<[string, Twist]>([
    ['another origin', { origin: 'https://evil.example' }],
    ['another relying party', { rpId: 'evil.example' }],
    ['another account', { userHandle: Buffer.alloc(16, 1).toString('base64url') }],
    ['an unverified user', { flags: 0x01 }],
    ['a challenge of its own making', { challenge: Buffer.alloc(48, 7).toString('base64url') }],
    ['a device-bound key that says it is backed up by now', { flags: 0x1d }],
    ['a device-bound key whose counter went back', { counter: 1 }],
  ])('refuses %s', async (_, twist) => {
    const { key } = await withPasskey();
    expect((await logIn(key)).status).toBe(200);
    expectProblem(await logIn(key, twist), 401, 'invalid_credentials');
    expect((await logIn(key)).status).toBe(200);
  });

  test('a counter of a synced passkey that went back lets its owner in', async () => {
    const { key } = await withPasskey({ synced: true });
    expect((await logIn(key, { counter: 9 })).status).toBe(200);
    expect((await logIn(key, { counter: 5 })).status).toBe(200);
  });

  test('backup state is stored at each use', async () => {
    const { key, token } = await withPasskey({ synced: true });
    expect((await logIn(key, { flags: 0x0d })).status).toBe(200);
    const { body } = await app.call('GET', '/v1/passkeys', { token });
    expect(body.passkeys[0]).toMatchObject({ synced: true, backed_up: false });
  });

  test('a challenge ends with its time, and with a younger use', async () => {
    const { key } = await withPasskey({ synced: true });
    const old = key.get(await loginOptions());
    app.clock.advance(1000);
    expect((await logIn(key)).status).toBe(200);
    expectProblem(await passkeyLogin(old), 401, 'invalid_credentials');
    const late = key.get(await loginOptions());
    app.clock.advance(600_000);
    expectProblem(await passkeyLogin(late), 401, 'invalid_credentials');
  });

  test.each([true, false])(
    '20 parallel uses of one assertion open one session (synced: %s)',
    async (synced) => {
      const { key, userId } = await withPasskey({ synced });
      const assertion = key.get(await loginOptions());
      const before = await query(app, 'select id from sessions where account_id = $1', [userId]);
      const answers = await Promise.all(Array.from({ length: 20 }, () => passkeyLogin(assertion)));
      expect(answers.filter(({ status }) => status === 200)).toHaveLength(1);
      for (const { status } of answers) expect([200, 401, 409]).toContain(status);
      const after = await query(app, 'select id from sessions where account_id = $1', [userId]);
      expect(after.length - before.length).toBe(1);
    },
  );

  test('truncated or odd objects are refused without a fault', async () => {
    const { key } = await withPasskey({ synced: true });
    const whole = key.get(await loginOptions());
    for (const member of ['clientDataJSON', 'authenticatorData', 'signature', 'userHandle'] as const) {
      for (const cut of [0, 1, 10, whole.response[member].length - 2]) {
        const response = { ...whole.response, [member]: whole.response[member].slice(0, cut) };
        expect([400, 401]).toContain((await passkeyLogin({ ...whole, response })).status);
      }
    }
    const longer = Buffer.concat([
      Buffer.from(whole.response.authenticatorData, 'base64url'),
      Buffer.from('a16178f5', 'hex'),
    ]);
    const extra = { ...whole.response, authenticatorData: longer.toString('base64url') };
    expect([400, 401]).toContain((await passkeyLogin({ ...whole, response: extra })).status);
    expect((await passkeyLogin({ ...whole, surplus: 1 })).status).toBe(400);
    expect((await passkeyLogin(whole)).status).toBe(200);
  });
});

describe('second factor', () => {
  /** The password is right, the second factor is due. */
  const halfIn = async (email: string): Promise<string> => {
    const { body } = await passwordLogin(email);
    expect(body.access_token).toBeUndefined();
    return body.session_token;
  };
  const options = async (flow_token: string) =>
    (await post('/v1/auth/login/passkey-options', { flow_token })).body.options;
  const answer = (flow_token: string, passkey: unknown) =>
    post('/v1/auth/login/step-up', { flow_token, passkey });

  test('answers L4 of a password login; its options name the passkeys of the account', async () => {
    const { key, email } = await withPasskey();
    const token = await halfIn(email);
    const asked = await options(token);
    expect(asked.allowCredentials).toEqual([expect.objectContaining({ id: key.id })]);
    const { status, body } = await answer(token, key.get(asked));
    expect(status).toBe(200);
    expect(claimsOf(body.access_token)).toMatchObject({ acr: 'aal2' });
  });

  test('takes no challenge of another login, of a login by passkey, or of an answer before', async () => {
    const { key, email } = await withPasskey({ synced: true });
    const [one, two] = [await halfIn(email), await halfIn(email)];
    const own = await options(one);
    expectProblem(await answer(one, key.get(await options(two))), 401, 'invalid_credentials');
    expectProblem(await answer(one, key.get(own)), 401, 'invalid_credentials');
    expectProblem(await passkeyLogin(key.get(await options(one))), 401, 'invalid_credentials');
    expect((await answer(two, key.get(await loginOptions()))).status).toBe(401);
    expect((await answer(one, key.get(await options(one)))).status).toBe(200);
  });

  test('another person’s passkey answers nothing', async () => {
    const [one, two] = [await withPasskey(), await withPasskey()];
    const token = await halfIn(one.email);
    expectProblem(await answer(token, two.key.get(await options(token))), 400, 'validation_failed');
  });

  test('steps a session up once per challenge', async () => {
    const { key, email, token } = await withPasskey({ synced: true });
    const stepUpOptions = async () =>
      (await post('/v1/auth/step-up/passkey-options', undefined, token)).body.options;
    const assertion = key.get(await stepUpOptions());
    const done = await post('/v1/auth/step-up', { passkey: assertion }, token);
    expect(done).toMatchObject({ status: 200, body: { method: 'passkey', acr: 'aal2' } });
    expectProblem(await post('/v1/auth/step-up', { passkey: assertion }, token), 400, 'invalid_code');
    expect((await post('/v1/passkeys/options', {}, done.body.verification_token)).status).toBe(200);
    app.clock.advance(1000);
    const login = key.get(await loginOptions());
    expect((await post('/v1/auth/step-up', { passkey: login }, token)).status).toBe(400);
    expect((await passwordLogin(email)).body.auth_status).not.toBe('AUTHENTICATED');
  });
});
