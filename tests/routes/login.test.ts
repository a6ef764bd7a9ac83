/** Login by phone over HTTP: codes, their budgets, what each answer tells and what it must not. */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import {
  claimsOf,
  codeOf,
  expectProblem,
  full,
  limited,
  login,
  PIN,
  preUser,
  REAL,
  realPhone,
  sendOtp,
  startSignup,
  verifyOtp,
  verifySignup,
  wrongFor,
} from './people.ts';

/** Limits of the network, which a whole file shares, out of the way; those per number as documented. */
const LIMITS_OFF = {
  LIMIT_CODE_SEND_NETWORK: '10000/1h',
  LIMIT_CODE_CHECK_NETWORK: '10000/1h',
  LIMIT_SET_PASSWORD_NETWORK: '10000/1h',
  LIMIT_SMS_RANGE: '10000/1h',
  LIMIT_SMS_COUNTRY: '10000/1h',
  LIMIT_SMS_ALL: '10000/1m',
  LIMIT_NETWORK: '100000/1m',
};

let demo: TestApp;
let real: TestApp;
beforeAll(async () => {
  [demo, real] = await Promise.all([
    createTestApp({ env: { LIMIT_CODE_CHECK_NETWORK: '10000/1m' } }),
    createTestApp({ env: { ...REAL, ...LIMITS_OFF } }),
  ]);
});
afterAll(() => Promise.all([demo.close(), real.close()]));

describe('send-otp', () => {
  test('answers with the state, what is next, the flow token and how long the code lives', async () => {
    const sent = await sendOtp(demo, freshPhone());
    expect(sent.status).toBe(200);
    expect(sent.body).toEqual({
      status: 'otp_sent',
      flow_id: expect.stringMatching(/^[0-9a-f-]{36}$/),
      state: 'code_sent',
      next: [
        expect.objectContaining({ event: 'CODE_REQUESTED', method: 'POST', href: '/v1/auth/send-otp' }),
        expect.objectContaining({ event: 'CODE_CHECKED', href: '/v1/auth/verify-otp', schema: 'VerifyOtp' }),
      ],
      flow_token: expect.stringMatching(/^[\w-]{22}\.[\w-]{43}$/),
      expires_in: 300,
    });
  });

  test('a token of another flow, of another phone, a made-up and an expired one are all 401', async () => {
    const [mine, other] = [freshPhone(), freshPhone()];
    const { flow_token: token } = (await sendOtp(demo, mine)).body;
    const signup = (await startSignup(demo, mine)).body.flow_token;
    demo.clock.advance(1500);
    expectProblem(await sendOtp(demo, other, token), 401, 'invalid_flow_token');
    demo.clock.advance(1500);
    expectProblem(await sendOtp(demo, mine, signup), 401, 'invalid_flow_token');
    demo.clock.advance(1500);
    expectProblem(
      await sendOtp(demo, mine, `${'A'.repeat(22)}.${'B'.repeat(42)}A`),
      401,
      'invalid_flow_token',
    );
    demo.clock.advance(1500);
    expectProblem(await sendOtp(demo, mine, 'nonsense'), 401, 'invalid_flow_token');
    demo.clock.advance(1500);
    const both = { phone: mine, flow_token: signup };
    expectProblem(
      await demo.call('POST', '/v1/auth/send-otp', { body: both, token }),
      401,
      'invalid_flow_token',
    );
    demo.clock.advance(660_000);
    expectProblem(await sendOtp(demo, mine, token), 401, 'invalid_flow_token');
  });

  test('known, unknown and blocked phones get the same status, members and headers', async () => {
    const known = (await full(demo)).phone;
    const blocked = await limited(demo);
    await demo.services.db.writes`update accounts set status = 'blocked' where id = ${blocked.userId}`;
    demo.clock.advance(60_000);
    const shape = async (path: string, phone: string) => {
      const { status, body, headers } = await demo.call('POST', path, { body: { phone } });
      return {
        status,
        keys: Object.keys(body).sort(),
        state: body.state,
        next: body.next,
        length: JSON.stringify({ ...body, phone: '' }).length,
        headers: Object.keys(headers).sort(),
      };
    };
    for (const path of ['/v1/auth/send-otp', '/v1/auth/signup/phone']) {
      const unknown = await shape(path, freshPhone());
      expect(await shape(path, known)).toEqual(unknown);
      expect(await shape(path, blocked.phone)).toEqual(unknown);
    }
  });
});

describe('a code', () => {
  test('that is right logs in once; the second time it is wrong', async () => {
    const { phone } = await limited(real);
    real.clock.advance(31_000);
    const token = (await sendOtp(real, phone)).body.flow_token;
    const code = await codeOf(real, phone);
    const first = await verifyOtp(real, phone, code, undefined, { device_id: 'device-of-sign-up' });
    expect(first).toMatchObject({ status: 200, body: { valid: true, auth_status: 'AUTHENTICATED' } });
    expectProblem(await verifyOtp(real, phone, code), 400, 'invalid_code');
    for (const otp of [code, '000000']) {
      const repeated = await verifyOtp(real, phone, otp, token);
      expectProblem(repeated, 409, 'already_verified');
      expect(repeated.body).toMatchObject({
        state: 'verified',
        next: [{ event: 'CODE_REQUESTED', href: '/v1/auth/send-otp' }],
      });
      expect(repeated.text).not.toMatch(/[a-z]+_token/);
    }
    real.clock.advance(31_000);
    expect((await sendOtp(real, phone)).status).toBe(200);
    const again = await verifyOtp(real, phone, await codeOf(real, phone), undefined, {
      device_id: 'device-of-sign-up',
    });
    expect(again.status).toBe(200);
  });

  test('that is wrong, expired, or was never sent is the same 400 with valid: false', async () => {
    const phone = realPhone();
    const bare = ({ body }: Awaited<ReturnType<typeof verifyOtp>>) => ({ ...body, request_id: '' });
    const never = await verifyOtp(real, phone, '000000');
    expectProblem(never, 400, 'invalid_code');
    expect(never.body.valid).toBe(false);
    await sendOtp(real, phone);
    const code = await codeOf(real, phone);
    const wrong = await verifyOtp(real, phone, wrongFor(code));
    real.clock.advance(300_000);
    const expired = await verifyOtp(real, phone, code);
    expect(bare(wrong)).toEqual(bare(never));
    expect(bare(expired)).toEqual(bare(never));
    expect(wrong.body.state).toBeUndefined();
  });

  test('is locked by the fifth wrong value: 429, and the right one is refused too', async () => {
    const phone = realPhone();
    const token = (await sendOtp(real, phone)).body.flow_token;
    const code = await codeOf(real, phone);
    for (let i = 0; i < 4; i++)
      expectProblem(await verifyOtp(real, phone, wrongFor(code), token), 400, 'invalid_code');
    const fifth = await verifyOtp(real, phone, wrongFor(code), token);
    expectProblem(fifth, 429, 'rate_limited');
    expect(fifth.headers['retry-after']).toBe('3600');
    expect(fifth.body).toMatchObject({ state: 'locked', valid: false, next: [] });
    expectProblem(await verifyOtp(real, phone, code, token), 429, 'rate_limited');
    // Whoever only names the phone is not told why.
    expectProblem(await verifyOtp(real, phone, code), 400, 'invalid_code');
  });

  test('has a budget of its own for callers without the token, which leaves the holder’s alone', async () => {
    const phone = realPhone();
    const token = (await sendOtp(real, phone)).body.flow_token;
    const code = await codeOf(real, phone);
    for (let i = 0; i < 4; i++)
      expectProblem(await verifyOtp(real, phone, wrongFor(code)), 400, 'invalid_code');
    const fifth = await verifyOtp(real, phone, wrongFor(code));
    expectProblem(fifth, 429, 'rate_limited');
    expect(fifth.body.state).toBeUndefined();
    expectProblem(await verifyOtp(real, phone, code), 429, 'rate_limited');
    expect((await verifyOtp(real, phone, code, token)).status).toBe(200);
  });

  test('dies with a resend, which does not refund the five checks a day of the network', async () => {
    const phone = realPhone();
    const token = (await sendOtp(real, phone)).body.flow_token;
    const first = await codeOf(real, phone);
    for (let i = 0; i < 3; i++) await verifyOtp(real, phone, wrongFor(first), token);
    real.clock.advance(31_000);
    expect((await sendOtp(real, phone, token)).status).toBe(200);
    const second = await codeOf(real, phone);
    expect(second).not.toBe(first);
    expectProblem(await verifyOtp(real, phone, first, token), 400, 'invalid_code');
    expectProblem(await verifyOtp(real, phone, wrongFor(second), token), 400, 'invalid_code');
    // Five wrong ones over two codes: the day is over for this number here, whatever is sent now.
    expectProblem(await verifyOtp(real, phone, second, token), 429, 'rate_limited');
    real.clock.advance(24 * 3_600_000);
    const again = (await sendOtp(real, phone)).body.flow_token;
    expect((await verifyOtp(real, phone, await codeOf(real, phone), again)).status).toBe(200);
  });

  test('of a login does not work for a sign-up, nor the reverse, nor in another flow of the phone', async () => {
    const phone = realPhone();
    const loginToken = (await sendOtp(real, phone)).body.flow_token;
    const loginCode = await codeOf(real, phone);
    const signupToken = (await startSignup(real, phone)).body.flow_token;
    const signupCode = await codeOf(real, phone);
    expect(signupCode).not.toBe(loginCode);
    expectProblem(await verifySignup(real, phone, loginCode, signupToken), 400, 'invalid_code');
    expectProblem(await verifySignup(real, phone, loginCode), 400, 'invalid_code');
    expectProblem(await verifyOtp(real, phone, signupCode, loginToken), 400, 'invalid_code');
    expectProblem(await verifyOtp(real, phone, signupCode, signupToken), 401, 'invalid_flow_token');
    expectProblem(await verifySignup(real, phone, signupCode, loginToken), 401, 'invalid_flow_token');
    real.clock.advance(31_000);
    const second = (await sendOtp(real, phone)).body.flow_token;
    await codeOf(real, phone);
    expectProblem(await verifyOtp(real, phone, loginCode, second), 400, 'invalid_code');
    expect((await verifyOtp(real, phone, loginCode, loginToken)).status).toBe(200);
  });

  test('is nowhere but in the message: no answer and no log line holds it', async () => {
    const lines: string[] = [];
    const app = await createTestApp({
      env: { ...REAL, LOG_LEVEL: 'trace' },
      logStream: { write: (entry) => void lines.push(entry) },
    });
    try {
      const phone = realPhone();
      const answers: string[] = [];
      const codes: string[] = [];
      const sent = await sendOtp(app, phone);
      codes.push(await codeOf(app, phone));
      const wrong = await verifyOtp(app, phone, wrongFor(codes[0]!));
      const right = await verifyOtp(app, phone, codes[0]!);
      const started = await startSignup(app, phone);
      codes.push(await codeOf(app, phone));
      const verified = await verifySignup(app, phone, codes[1]!);
      for (const answer of [sent, wrong, right, started, verified])
        answers.push(answer.text + JSON.stringify(answer.headers));
      expect(lines.length).toBeGreaterThan(0);
      for (const code of codes) {
        const told = (text: string) => new RegExp(`(?<![0-9a-f])${code}(?![0-9a-f])`).test(text);
        expect(answers.filter(told)).toEqual([]);
        expect(lines.filter(told)).toEqual([]);
      }
      expect(lines.filter((entry) => entry.includes(phone))).toEqual([]);
      expect(lines.filter((entry) => entry.includes(verified.body.flow_token))).toEqual([]);
    } finally {
      await app.close();
    }
  });
});

describe('reserved numbers show', () => {
  test('an expired code', async () => {
    await sendOtp(demo, '+15555550101');
    expectProblem(await verifyOtp(demo, '+15555550101', '000000'), 400, 'invalid_code');
  });

  test('a lock at the first wrong code, with and without the token', async () => {
    const { flow_token: token } = (await sendOtp(demo, '+15555550102')).body;
    expectProblem(await verifyOtp(demo, '+15555550102', '111111', token), 429, 'rate_limited');
    expectProblem(await verifyOtp(demo, '+15555550102', '000000', token), 429, 'rate_limited');
    await startSignup(demo, '+15555550102');
    expectProblem(await verifySignup(demo, '+15555550102', '111111'), 429, 'rate_limited');
  });

  test('a failed delivery: accepted like any other, dead in the outbox, nothing in the inbox', async () => {
    const sent = await sendOtp(demo, '+15555550103');
    expect(sent.status).toBe(200);
    await demo.relay.drain();
    expect(await demo.services.inbox?.latest('+15555550103')).toBeNull();
    const [row] = await demo.services.db
      .writes`select status from outbox where flow_id = ${sent.body.flow_id}`;
    expect(row?.status).toBe('dead');
  });
});

describe('the L6 result', () => {
  test('for a phone without an account is ONBOARDING_REQUIRED, with where to go on and no token', async () => {
    const phone = freshPhone();
    await sendOtp(demo, phone);
    const { body } = await verifyOtp(demo, phone, '000000');
    expect(body).toMatchObject({
      valid: true,
      state: 'L6_result.ONBOARDING_REQUIRED',
      auth_status: 'ONBOARDING_REQUIRED',
      account_tier: null,
      onboarding: { flow_id: null, method: 'POST', href: '/v1/auth/signup/phone' },
      next: [
        { event: 'PHONE_SUBMITTED', method: 'POST', href: '/v1/auth/signup/phone', schema: 'SignupPhone' },
      ],
    });
    expect(body.access_token ?? body.refresh_token ?? body.flow_token).toBeUndefined();
  });

  test('for a PreUser names the sign-up under way', async () => {
    const phone = realPhone();
    await preUser(real, phone);
    const { body } = await login(real, phone);
    expect(body).toMatchObject({ auth_status: 'ONBOARDING_REQUIRED', account_tier: 'UNVERIFIED' });
    expect(body.onboarding.flow_id).toMatch(/^[0-9a-f-]{36}$/);
    expect(body.access_token).toBeUndefined();
  });

  test('LIMITED tokens name the LIMITED audience, FULL ones the audience itself', async () => {
    const person = await full(demo);
    const { audience } = demo.services.config.jwt;
    expect(claimsOf(person.access)).toMatchObject({ aud: `${audience}:limited`, tier: 'LIMITED' });
    const again = await login(demo, person.phone);
    expect(again.body).toMatchObject({ auth_status: 'AUTHENTICATED', account_tier: 'FULL', scope: '*' });
    expect(claimsOf(again.body.access_token)).toMatchObject({
      aud: audience,
      tier: 'FULL',
      sub: `user:${person.userId}`,
      sid: again.body.session_id,
    });
  });

  test('for a blocked account is 403, told only after the right code', async () => {
    const { phone, userId } = await limited(real);
    await real.services.db.writes`update accounts set status = 'blocked' where id = ${userId}`;
    real.clock.advance(31_000);
    await sendOtp(real, phone);
    const code = await codeOf(real, phone);
    expectProblem(await verifyOtp(real, phone, wrongFor(code)), 400, 'invalid_code');
    const denied = await verifyOtp(real, phone, code);
    expectProblem(denied, 403, 'account_blocked');
    expect(denied.body).toMatchObject({ auth_status: 'DENIED', state: 'L6_result.DENIED', next: [] });
    // The sign-up door tells as little before the code, and grants nothing after it.
    await startSignup(real, phone);
    const second = await codeOf(real, phone);
    expectProblem(await verifySignup(real, phone, wrongFor(second)), 400, 'invalid_code');
    const known = await verifySignup(real, phone, second);
    expect(known).toMatchObject({ status: 200, body: { state: 'registered' } });
    expect(known.body.flow_token ?? known.body.access_token).toBeUndefined();
  });
});

describe('step-up', () => {
  const stepUp = (app: TestApp, token: string | undefined, pin: unknown) =>
    app.call('POST', '/v1/auth/login/step-up', { body: { pin }, token });

  test('is asked of a new device when a PIN is set, and no token exists before the answer', async () => {
    const { phone, userId } = await limited(demo, { pin: PIN });
    const known = await login(demo, phone);
    expect(known.body.auth_status).toBe('AUTHENTICATED');
    demo.clock.advance(2000);
    const { body } = await login(demo, phone, 'another-device');
    expect(body).toMatchObject({
      auth_status: 'STEP_UP_REQUIRED',
      requires_step_up: true,
      state: 'L4_step_up',
      factors: ['pin'],
      next: [{ event: 'STEP_UP_ANSWERED', href: '/v1/auth/login/step-up', schema: 'StepUp', method: 'POST' }],
    });
    expect(body.access_token ?? body.refresh_token ?? body.session_id).toBeUndefined();
    const sessions = () =>
      demo.services.db.writes`select count(*)::int as n from sessions where account_id = ${userId}`;
    const [before] = await sessions();
    const done = await stepUp(demo, body.flow_token, PIN);
    expect(done).toMatchObject({
      status: 200,
      body: { auth_status: 'AUTHENTICATED', account_tier: 'LIMITED' },
    });
    expect(claimsOf(done.body.access_token).amr).toContain('pin');
    const [after] = await sessions();
    expect([before?.n, after?.n]).toEqual([2, 3]);
    const verified = vi.spyOn(demo.services.hasher, 'verify');
    expectProblem(await stepUp(demo, body.flow_token, PIN), 409, 'event_refused');
    expect(verified).not.toHaveBeenCalled();
    verified.mockRestore();
  });

  test('wrong PIN 401 with what is next, the third 403, then nothing helps', async () => {
    const { phone } = await limited(demo, { pin: PIN });
    const { flow_token: token } = (await login(demo, phone, 'another-device')).body;
    const first = await stepUp(demo, token, '999111');
    expectProblem(first, 401, 'invalid_credentials');
    expect(first.body).toMatchObject({ state: 'L4_step_up', next: [{ event: 'STEP_UP_ANSWERED' }] });
    expectProblem(await stepUp(demo, token, '999111'), 401, 'invalid_credentials');
    expectProblem(await stepUp(demo, token, '999111'), 403, 'access_denied');
    expectProblem(await stepUp(demo, token, PIN), 409, 'event_refused');
  });

  test('a PIN that the account changes between its check and the decision opens nothing', async () => {
    const { phone, userId } = await limited(demo, { pin: PIN });
    const { flow_token: token } = (await login(demo, phone, 'another-device')).body;
    const { hasher, db } = demo.services;
    const other = await hasher.hash('719364', userId);
    const verify = hasher.verify.bind(hasher);
    // The real check, and right after it the change.
    const checking = vi.spyOn(hasher, 'verify').mockImplementationOnce(async (...args) => {
      const matches = await verify(...args);
      expect(matches).toBe(true);
      await db.writes`update credentials set pin_hash = ${other} where account_id = ${userId}`;
      return matches;
    });
    const late = await stepUp(demo, token, PIN);
    expect(checking).toHaveBeenCalledTimes(1);
    checking.mockRestore();
    expectProblem(late, 401, 'invalid_credentials');
    expectProblem(await stepUp(demo, token, PIN), 401, 'invalid_credentials');
    expect((await stepUp(demo, token, '719364')).body.auth_status).toBe('AUTHENTICATED');
  });

  test('five wrong PINs in a quarter of an hour close the factor of the account, over any logins', async () => {
    const { phone } = await limited(real, { pin: PIN });
    const attempt = async (pins: string[]) => {
      real.clock.advance(101_000);
      const { flow_token: token } = (await login(real, phone, 'another-device')).body;
      let last: Awaited<ReturnType<typeof stepUp>> | undefined;
      for (const pin of pins) last = await stepUp(real, token, pin);
      return last!;
    };
    expectProblem(await attempt(['999111', '999111', '999111']), 403, 'access_denied');
    expectProblem(await attempt(['999111', '999111']), 401, 'invalid_credentials');
    expectProblem(await attempt([PIN]), 429, 'rate_limited');
    real.clock.advance(900_000);
    expect((await attempt([PIN])).body.auth_status).toBe('AUTHENTICATED');
  });

  test('without the token, with another flow’s, or too late: 401 or refused, never a token', async () => {
    const { phone, token: signup } = await limited(demo, { pin: PIN });
    const { flow_token: token } = (await login(demo, phone, 'another-device')).body;
    expectProblem(await stepUp(demo, undefined, PIN), 401, 'unauthenticated');
    expectProblem(await stepUp(demo, signup, PIN), 401, 'invalid_flow_token');
    demo.clock.advance(15 * 60_000 + 1000);
    expectProblem(await stepUp(demo, token, PIN), 401, 'invalid_flow_token');
  });

  test('a PIN of the wrong form is 400 and costs no try', async () => {
    const { phone } = await limited(demo, { pin: PIN });
    const { flow_token: token } = (await login(demo, phone, 'another-device')).body;
    for (const pin of ['', null, [], {}, 482915, ' 482915', '４８２９１５', '1'.repeat(13)])
      expectProblem(await stepUp(demo, token, pin), 400, 'validation_failed');
    expect((await stepUp(demo, token, PIN)).status).toBe(200);
  });
});
