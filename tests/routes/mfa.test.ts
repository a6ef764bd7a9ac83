/** Second factors through the API: setup, login, step-up, backup codes, removal; who is told and what they open. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { countingProxy } from '../support/counting-proxy.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { emailPerson, MAIL_PASSWORD, mailbox } from '../support/mail.ts';
import { query } from '../support/people.ts';
import { appCode, enrolTotp, nextCode } from '../support/second-factor.ts';
import { claimsOf, expectProblem, wrongFor } from './people.ts';

let app: TestApp;
const WIDE = {
  ...LIMITS_OFF,
  // As outside the demo, whose windows are over in no time.
  LIMIT_SECOND_FACTOR: '5/15m',
};
beforeAll(async () => {
  app = await createTestApp({ env: WIDE });
});
afterAll(() => app.close());

const post = (path: string, body: unknown, token?: string) => app.call('POST', path, { body, token });
const passwordLogin = (email: string, more: object = {}) =>
  post('/v1/auth/login', { email, password: MAIL_PASSWORD, token_transport: 'body', ...more });
const verify = (session_token: string, code: unknown) =>
  post('/v1/auth/mfa/verify', { session_token, code, token_transport: 'body' });
const status = (token: string) => app.call('GET', '/v1/mfa/status', { token });

/** Signed in with a password just now. */
async function person() {
  const { email, userId } = await emailPerson(app);
  const { body } = await passwordLogin(email);
  return { email, userId, token: body.access_token as string, refresh: body.refresh_token as string };
}
async function enrolled() {
  const someone = await person();
  return { ...someone, ...(await enrolTotp(app, someone.token)) };
}
/** The password is right, the second factor is due. */
const halfIn = async (email: string): Promise<string> => (await passwordLogin(email)).body.session_token;

describe('setup', () => {
  test('shows a secret of 160 bits once, as text, URI and picture; stores it sealed', async () => {
    const { token, email, userId } = await person();
    const { body, status: answered } = await post('/v1/mfa/totp/setup', undefined, token);
    expect(answered).toBe(200);
    expect(body.secret).toMatch(/^[A-Z2-7]{32}$/);
    const uri = new URL(body.otpauth_uri);
    expect(uri.protocol).toBe('otpauth:');
    expect(uri.searchParams.get('secret')).toBe(body.secret);
    expect(decodeURIComponent(uri.pathname)).toContain(email);
    const svg = Buffer.from(body.qr_code_data_uri.split(',')[1], 'base64').toString();
    expect(body.qr_code_data_uri).toMatch(/^data:image\/svg\+xml;base64,/);
    expect(svg).toMatch(/^<svg /);
    const rows = await query(app, 'select * from factors where account_id = $1', [userId]);
    expect(JSON.stringify(rows)).not.toContain(body.secret);
    expect((await status(token)).body).toMatchObject({ mfa_enabled: false, factors: [] });
    expect((await passwordLogin(email)).body.auth_status).toBe('AUTHENTICATED');
  });

  test('counts from its first right code on, tells the owner and gives eight backup codes', async () => {
    const { token, email } = await person();
    const { body: setup } = await post('/v1/mfa/totp/setup', {}, token);
    const right = appCode(app, setup.secret);
    expectProblem(await post('/v1/mfa/totp/enable', { code: wrongFor(right) }, token), 400, 'invalid_code');
    const enabled = await post('/v1/mfa/totp/enable', { code: right }, token);
    expect(enabled).toMatchObject({ status: 200, body: { mfa_enabled: true, state: 'confirmed' } });
    expect(new Set(enabled.body.backup_codes).size).toBe(8);
    for (const code of enabled.body.backup_codes) expect(code).toMatch(/^[2-9A-Z]{4}-[2-9A-Z]{4}$/);
    expect((await mailbox(app, email)).map((m) => m.subject).join()).toContain('second factor was added');
    expect((await status(token)).body).toMatchObject({
      mfa_enabled: true,
      methods: ['totp', 'backup_codes'],
      backup_codes_remaining: 8,
    });
    const me = await app.call('GET', '/v1/users/me', { token });
    expect(me.body.mfa_enabled).toBe(true);
  });

  test('three wrong codes end it; so does its time', async () => {
    const { token } = await person();
    const first = (await post('/v1/mfa/totp/setup', {}, token)).body.secret;
    const wrong = wrongFor(appCode(app, first));
    for (let n = 0; n < 3; n++)
      expectProblem(await post('/v1/mfa/totp/enable', { code: wrong }, token), 400, 'invalid_code');
    expectProblem(await post('/v1/mfa/totp/enable', { code: appCode(app, first) }, token), 409, 'conflict');
    const second = (await post('/v1/mfa/totp/setup', {}, token)).body.secret;
    app.clock.advance(601_000);
    expect((await post('/v1/mfa/totp/enable', { code: appCode(app, second) }, token)).status).toBe(400);
  });

  test('a second setup leaves exactly one to confirm', async () => {
    const { token, userId } = await person();
    const secrets = await Promise.all(
      [1, 2, 3].map(async () => (await post('/v1/mfa/totp/setup', {}, token)).body.secret),
    );
    const rows = await query(app, "select id from factors where account_id = $1 and state = 'pending'", [
      userId,
    ]);
    expect(rows).toHaveLength(1);
    const outcomes = [];
    for (const secret of secrets.filter(Boolean))
      outcomes.push((await post('/v1/mfa/totp/enable', { code: appCode(app, secret) }, token)).status);
    expect(outcomes.filter((one) => one === 200)).toHaveLength(1);
  });

  test('of another app needs the one in use, which goes on until the new one is confirmed', async () => {
    const { token, secret, email, factorId } = await enrolled();
    const refused = await post('/v1/mfa/totp/setup', {}, token);
    expectProblem(refused, 401, 'step_up_required');
    expect(refused.headers['www-authenticate']).toMatch(
      /error="insufficient_user_authentication".*acr_values="aal2", max_age="300"/,
    );
    const stepped = await post('/v1/mfa/totp/verify', { code: nextCode(app, secret) }, token);
    const strong = stepped.body.verification_token;
    const setup = await post('/v1/mfa/totp/setup', {}, strong);
    expect(setup.status).toBe(200);
    expect((await verify(await halfIn(email), nextCode(app, secret))).status).toBe(200);
    const code = appCode(app, setup.body.secret);
    expect((await post('/v1/mfa/totp/enable', { code }, strong)).status).toBe(200);
    expectProblem(await verify(await halfIn(email), nextCode(app, secret)), 400, 'invalid_code');
    expect((await verify(await halfIn(email), nextCode(app, setup.body.secret))).status).toBe(200);
    expect(
      await query(
        app,
        'select f.state, f.secret_sealed, w.state as flow from factors f join flows w on w.id = f.id where f.id = $1',
        [factorId],
      ),
    ).toEqual([{ state: 'replaced', secret_sealed: null, flow: 'replaced' }]);
  });
});

describe('login', () => {
  test('by password is two requests: the second factor, then tokens of both', async () => {
    const { email, secret, userId } = await enrolled();
    const asked = await passwordLogin(email);
    expect(asked).toMatchObject({
      status: 200,
      body: { status: 'mfa_required', auth_status: 'STEP_UP_REQUIRED', methods: ['totp', 'backup_codes'] },
    });
    expect(asked.body.access_token).toBeUndefined();
    const done = await verify(asked.body.session_token, nextCode(app, secret));
    expect(done).toMatchObject({
      status: 200,
      body: { auth_status: 'AUTHENTICATED', user: { user_id: userId, email, mfa_enabled: true } },
    });
    expect(claimsOf(done.body.access_token)).toMatchObject({
      acr: 'aal2',
      amr: ['pwd', 'otp', 'mfa'],
      mfa: true,
    });
    const refreshed = await post('/v1/auth/refresh', { refresh_token: done.body.refresh_token });
    expect(claimsOf(refreshed.body.access_token)).toMatchObject({
      acr: 'aal2',
      auth_time: claimsOf(done.body.access_token).auth_time,
    });
  });

  test('a PIN is no second factor beside a password', async () => {
    const { email, secret } = await enrolled();
    const { body } = await passwordLogin(email);
    expect(body.factors).not.toContain('pin');
    const answer = await post('/v1/auth/login/step-up', { flow_token: body.flow_token, pin: '482915' });
    expect(answer.status).toBe(401);
    const right = await post('/v1/auth/login/step-up', {
      flow_token: body.flow_token,
      code: nextCode(app, secret),
    });
    expect(right.body.auth_status).toBe('AUTHENTICATED');
  });

  test('takes a code of the present step or the one before, never one to come, and none twice', async () => {
    const { email, secret } = await enrolled();
    app.clock.advance(60_000);
    const late = appCode(app, secret, -1);
    expectProblem(await verify(await halfIn(email), appCode(app, secret, 1)), 400, 'invalid_code');
    expectProblem(await verify(await halfIn(email), appCode(app, secret, -2)), 400, 'invalid_code');
    expect((await verify(await halfIn(email), late)).status).toBe(200);
    expectProblem(await verify(await halfIn(email), late), 400, 'invalid_code');
    expect((await verify(await halfIn(email), appCode(app, secret))).status).toBe(200);
  });

  test('takes digits of any script with blanks; anything else is 400 and costs no try', async () => {
    const { email, secret } = await enrolled();
    const token = await halfIn(email);
    for (const bad of [
      '',
      '12345',
      '1234567',
      'abcdef',
      123456,
      null,
      ['123456'],
      { code: '1' },
      'AAAA-AAA',
      '１２３４５',
    ])
      expectProblem(await verify(token, bad), 400, 'validation_failed');
    const code = nextCode(app, secret);
    const arabic = [...code].map((d) => String.fromCodePoint(0x0660 + Number(d))).join('');
    expect((await verify(token, ` ${arabic.slice(0, 3)} ${arabic.slice(3)} `)).status).toBe(200);
  });

  test('each backup code works once, however it is typed', async () => {
    const { email, backupCodes, token } = await enrolled();
    const [first = '', second = ''] = backupCodes;
    expect((await verify(await halfIn(email), first.toLowerCase().replace('-', ' '))).status).toBe(200);
    expectProblem(await verify(await halfIn(email), first), 400, 'invalid_code');
    expect((await verify(await halfIn(email), second)).status).toBe(200);
    expect((await status(token)).body.backup_codes_remaining).toBe(6);
  });

  test('three wrong codes end one login; five close the factor, over any logins, and tell the owner', async () => {
    const { email, secret } = await enrolled();
    const wrong = wrongFor(nextCode(app, secret));
    const first = await halfIn(email);
    for (let n = 0; n < 3; n++) expectProblem(await verify(first, wrong), 400, 'invalid_code');
    expectProblem(await verify(first, nextCode(app, secret)), 429, 'rate_limited');
    const second = await halfIn(email);
    for (let n = 0; n < 2; n++) expectProblem(await verify(second, wrong), 400, 'invalid_code');
    expectProblem(await verify(await halfIn(email), nextCode(app, secret)), 429, 'rate_limited');
    expect((await mailbox(app, email)).map((m) => m.subject).join()).toContain('Too many wrong codes');
    app.clock.advance(15 * 60_000);
    expect((await verify(await halfIn(email), nextCode(app, secret))).status).toBe(200);
  });

  test('its session token opens nothing else, works once and ends with its time', async () => {
    const { email, secret } = await enrolled();
    const token = await halfIn(email);
    expect((await app.call('GET', '/v1/users/me', { token })).status).toBe(401);
    expect((await post('/v1/auth/refresh', { refresh_token: token })).status).toBe(401);
    expect((await verify(token, nextCode(app, secret))).status).toBe(200);
    expectProblem(await verify(token, nextCode(app, secret)), 400, 'invalid_session_token');
    expectProblem(await verify('no-token', nextCode(app, secret)), 400, 'invalid_session_token');
    const late = await halfIn(email);
    app.clock.advance(601_000);
    expectProblem(await verify(late, nextCode(app, secret)), 400, 'invalid_session_token');
  });

  test('by balance_hub takes the code along, in one request', async () => {
    const { email, secret } = await enrolled();
    const hub = (totp_code?: string) =>
      post('/balance_hub/auth/login', {
        email,
        password: MAIL_PASSWORD,
        ...(totp_code ? { totp_code } : {}),
      });
    expect((await hub()).body).toMatchObject({ status: 403, detail: '2FA_REQUIRED' });
    const right = nextCode(app, secret);
    expectProblem(await hub(wrongFor(right)), 401, 'invalid_credentials');
    const done = await hub(right);
    expect(done.status).toBe(200);
    expect(String(done.headers['set-cookie'])).toContain('access_token=');
    expectProblem(await hub(right), 401, 'invalid_credentials');
  });
});

describe('step-up', () => {
  test('gives a token of the same session with aal2 and a new auth_time; introspection agrees, a refresh does not renew', async () => {
    const { token, refresh, secret } = await enrolled();
    app.clock.advance(400_000);
    const stepped = await post('/v1/auth/step-up', { code: nextCode(app, secret) }, token);
    expect(stepped).toMatchObject({ status: 200, body: { verified: true, method: 'totp', acr: 'aal2' } });
    const strong = stepped.body.verification_token;
    const [before, after] = [claimsOf(token), claimsOf(strong)];
    expect(after).toMatchObject({
      sid: before.sid,
      sub: before.sub,
      acr: 'aal2',
      amr: ['pwd', 'otp', 'mfa'],
    });
    expect(after.auth_time).toBeGreaterThan(before.auth_time + 300);
    const shown = await app.call('POST', '/v1/auth/introspect', {
      token: app.services.introspectionToken ?? '',
      body: { token: strong },
    });
    expect(shown.body).toMatchObject({ active: true, acr: 'aal2', auth_time: after.auth_time });
    const renewed = await post('/v1/auth/refresh', { refresh_token: refresh });
    expect(claimsOf(renewed.body.access_token)).toMatchObject({ acr: 'aal1', auth_time: before.auth_time });
  });

  test('a sensitive call wants aal2 within five minutes, and no password stands for it', async () => {
    const { token, secret } = await enrolled();
    const add = (by: string) =>
      post(
        '/v1/users/me/contacts',
        { type: 'email', value: `x${Math.random()}@example.com`, current_password: MAIL_PASSWORD },
        by,
      );
    const change = (by: string) =>
      post(
        '/v1/users/change-password',
        { current_password: MAIL_PASSWORD, new_password: 'Another-Horse-77!' },
        by,
      );
    expectProblem(await add(token), 401, 'step_up_required');
    expectProblem(await change(token), 401, 'step_up_required');
    expectProblem(
      await app.call('DELETE', '/v1/users/me', { token, body: { password: MAIL_PASSWORD } }),
      401,
      'step_up_required',
    );
    const strong = (await post('/v1/mfa/totp/verify', { code: nextCode(app, secret) }, token)).body
      .verification_token;
    expect((await add(strong)).status).toBe(202);
    app.clock.advance(301_000);
    expectProblem(await add(strong), 401, 'step_up_required');
    const again = (await post('/v1/mfa/totp/verify', { code: nextCode(app, secret) }, strong)).body
      .verification_token;
    expect((await change(again)).status).toBe(200);
  });

  test('without a second factor a password gives a fresh first proof', async () => {
    const { token } = await person();
    app.clock.advance(400_000);
    expectProblem(await post('/v1/mfa/totp/setup', {}, token), 401, 'step_up_required');
    const stepped = await post('/v1/auth/step-up', { password: MAIL_PASSWORD }, token);
    expect(stepped.body).toMatchObject({ method: 'password', acr: 'aal1' });
    expect((await post('/v1/mfa/totp/setup', {}, stepped.body.verification_token)).status).toBe(200);
    expect((await post('/v1/mfa/totp/setup', { password: MAIL_PASSWORD }, token)).status).toBe(200);
  });

  test('a factor that comes downgrades what other sessions had shown', async () => {
    const { email, secret, token } = await enrolled();
    const other = await verify(await halfIn(email), nextCode(app, secret));
    expect(claimsOf(other.body.access_token).acr).toBe('aal2');
    const strong = (await post('/v1/mfa/totp/verify', { code: nextCode(app, secret) }, token)).body
      .verification_token;
    const setup = await post('/v1/mfa/totp/setup', {}, strong);
    await post('/v1/mfa/totp/enable', { code: appCode(app, setup.body.secret) }, strong);
    expectProblem(await post('/v1/mfa/totp/setup', {}, other.body.access_token), 401, 'step_up_required');
    const renewed = await post('/v1/auth/refresh', { refresh_token: other.body.refresh_token });
    expect(claimsOf(renewed.body.access_token)).toMatchObject({ acr: 'aal1', mfa: false });
    expect((await post('/v1/mfa/totp/setup', {}, strong)).status).toBe(200);
  });
});

describe('removal', () => {
  test('needs the password and a code; then a password is enough, and backup codes are worth nothing', async () => {
    const { token, secret, email, backupCodes } = await enrolled();
    const disable = (body: object) => post('/v1/mfa/totp/disable', body, token);
    const code = nextCode(app, secret);
    expectProblem(await disable({ password: MAIL_PASSWORD }), 401, 'step_up_required');
    expectProblem(await disable({ code }), 400, 'validation_failed');
    expectProblem(await disable({ password: 'Wrong-Horse-77!', code }), 401, 'invalid_credentials');
    expectProblem(await disable({ password: MAIL_PASSWORD, code: wrongFor(code) }), 400, 'invalid_code');
    expect(await disable({ password: MAIL_PASSWORD, code })).toMatchObject({
      status: 200,
      body: { mfa_enabled: false },
    });
    expect((await passwordLogin(email)).body.auth_status).toBe('AUTHENTICATED');
    expectProblem(await post('/v1/auth/step-up', { code: backupCodes[0] }, token), 409, 'conflict');
    expectProblem(await disable({ password: MAIL_PASSWORD, code }), 409, 'conflict');
    expect((await mailbox(app, email)).map((m) => m.subject).join()).toContain('second factor was removed');
  });

  test('new backup codes end the earlier ones', async () => {
    const { token, secret, email, backupCodes } = await enrolled();
    const renewed = await post(
      '/v1/mfa/backup-codes/regenerate',
      { password: MAIL_PASSWORD, code: nextCode(app, secret) },
      token,
    );
    expect(renewed.body.backup_codes).toHaveLength(8);
    expectProblem(await verify(await halfIn(email), backupCodes[0]), 400, 'invalid_code');
    expect((await verify(await halfIn(email), renewed.body.backup_codes[0])).status).toBe(200);
  });
});

test('a login with two factors is two requests, neither with more round trips to the database than a password login', async () => {
  const proxy = await countingProxy(app.databaseUrl);
  const counted = await createTestApp({ env: WIDE, databaseUrl: proxy.url, secrets: app.secrets });
  try {
    counted.clock.advance(app.clock.now() - counted.clock.now());
    const ask = async (path: string, body: object) => {
      const before = proxy.roundTrips();
      const answer = await counted.call('POST', path, { body });
      return { answer, cost: proxy.roundTrips() - before };
    };
    const plain = await emailPerson(counted);
    const { email, secret } = await enrolled();
    counted.clock.advance(app.clock.now() - counted.clock.now());
    const login = (who: string) => ask('/v1/auth/login', { email: who, password: MAIL_PASSWORD });
    // The first of each prepares its statements.
    await login(plain.email);
    const warm = await login(email);
    counted.clock.advance(30_000);
    const session = warm.answer.body.session_token;
    await ask('/v1/auth/mfa/verify', { session_token: session, code: appCode(counted, secret) });

    const alone = await login(plain.email);
    expect(alone.answer.body.auth_status).toBe('AUTHENTICATED');
    const first = await login(email);
    counted.clock.advance(30_000);
    const code = appCode(counted, secret);
    const second = await ask('/v1/auth/mfa/verify', { session_token: first.answer.body.session_token, code });
    expect(second.answer.body.auth_status).toBe('AUTHENTICATED');
    expect(first.cost).toBeLessThanOrEqual(alone.cost);
    expect(second.cost).toBeLessThanOrEqual(alone.cost);
  } finally {
    await counted.close();
    await proxy.close();
  }
});

test('switched off, its routes are not found, and whoever has an app is asked for it all the same', async () => {
  const { email, secret, token } = await enrolled();
  const off = await createTestApp({
    env: { ...WIDE, FEATURE_MFA_TOTP: 'false' },
    databaseUrl: app.databaseUrl,
    secrets: app.secrets,
  });
  try {
    off.clock.advance(app.clock.now() - off.clock.now());
    for (const path of ['/v1/mfa/totp/setup', '/v1/mfa/totp/enable', '/v1/mfa/backup-codes/regenerate'])
      expectProblem(await off.call('POST', path, { token, body: {} }), 404, 'not_found');
    const asked = await off.call('POST', '/v1/auth/login', { body: { email, password: MAIL_PASSWORD } });
    expect(asked.body.status).toBe('mfa_required');
    off.clock.advance(30_000);
    const body = { session_token: asked.body.session_token, code: appCode(off, secret) };
    expect((await off.call('POST', '/v1/auth/mfa/verify', { body })).status).toBe(200);
  } finally {
    await off.close();
  }
});
