/** Sign-up by phone over HTTP, S1 to S5: every answer, every refusal, and the risk gate with either adapter. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { query } from '../support/people.ts';
import {
  ADULT,
  codeOf,
  demoAndReal,
  expectProblem,
  limited,
  login,
  PASSWORD,
  PIN,
  preUser,
  REAL,
  realPhone,
  startSignup,
  verifySignup,
  withPassword,
  wrongFor,
} from './people.ts';

let demo: TestApp;
let real: TestApp;
beforeAll(async () => {
  [demo, real] = await demoAndReal();
});
afterAll(() => Promise.all([demo.close(), real.close()]));

const setPassword = (app: TestApp, body: object, token?: string) =>
  app.call('POST', '/v1/auth/signup/set-password', { body, token });
const submitProfile = (app: TestApp, token: string | undefined, body: object = ADULT) =>
  app.call('POST', '/v1/auth/signup/profile', { body, token });
const where = (app: TestApp, token?: string) => app.call('GET', '/v1/auth/signup', { token });
const review = (app: TestApp, flow: string, decision: 'APPROVE' | 'REJECT') =>
  app.call('POST', `/v1/admin/reviews/${flow}`, {
    body: { decision, reason: 'looked at it' },
    token: app.secrets.adminToken,
  });

describe('each step answers with the state, what is missing and what is next', () => {
  test('from the phone to LIMITED, and the same is told when asked', async () => {
    const phone = realPhone();
    const started = await startSignup(real, phone);
    expect(started).toMatchObject({
      status: 200,
      body: {
        phone,
        status: 'OTP_SENT',
        state: 'UNVERIFIED.code_sent',
        account_tier: 'UNVERIFIED',
        missing: ['code', 'password', 'profile', 'risk'],
        expires_in: 300,
      },
    });
    const events = (answer: { body: { next: { event: string }[] } }) => answer.body.next.map((a) => a.event);
    expect(events(started)).toEqual(['CODE_REQUESTED', 'CODE_CHECKED', 'ABANDON']);
    expect((await where(real, started.body.flow_token)).body).toMatchObject({
      state: 'UNVERIFIED.code_sent',
    });

    const verified = await verifySignup(real, phone, await codeOf(real, phone), started.body.flow_token);
    expect(verified).toMatchObject({
      status: 200,
      body: { phone, status: 'preuser_created', verified: true, missing: ['password', 'profile', 'risk'] },
    });
    expect(events(verified)).toEqual(['PASSWORD_SET', 'ABANDON']);
    const token = verified.body.temp_token;
    expect(token).toBe(verified.body.flow_token);
    // The token of the opener is spent: the code made a new one.
    expectProblem(await where(real, started.body.flow_token), 401, 'invalid_flow_token');

    const set = await setPassword(real, { phone, password: PASSWORD, pin: PIN }, token);
    expect(set).toMatchObject({
      status: 200,
      body: { status: 'credentials_set', missing: ['profile', 'risk'] },
    });
    expect(events(set)).toEqual(['PROFILE_SUBMITTED', 'ABANDON']);
    const asked = await where(real, token);
    expect(asked.body).toMatchObject({ status: 'credentials_set', missing: ['profile', 'risk'] });
    expect(Date.parse(asked.body.expires_at)).toBeGreaterThan(real.clock.now() + 29 * 86_400_000);

    const done = await submitProfile(real, token);
    expect(done).toMatchObject({
      status: 200,
      body: { state: 'LIMITED.kyc_none', account_tier: 'LIMITED', auth_status: 'AUTHENTICATED', missing: [] },
    });
    expect(events(done)).toEqual(['KYC_SUBMITTED']);
    const me = await real.call('GET', '/v1/users/me', { token: done.body.access_token });
    expect(me.body).toMatchObject({ phone, account_tier: 'LIMITED', pin_set: true, name: 'Ada Byron' });
  });

  test('a flow token may stand in the header or in the body, and both must agree', async () => {
    const phone = freshPhone();
    const token = await preUser(demo, phone);
    expectProblem(
      await setPassword(demo, { password: PASSWORD, flow_token: `${token.slice(0, -2)}AA` }, token),
      401,
      'invalid_flow_token',
    );
    expect((await setPassword(demo, { password: PASSWORD, flow_token: token })).status).toBe(200);
    expect(
      (await demo.call('POST', '/v1/auth/signup/profile', { body: { ...ADULT, flow_token: token }, token }))
        .status,
    ).toBe(200);
  });

  test('giving up ends the flow; nothing of it goes on', async () => {
    const token = await withPassword(real, realPhone());
    const gone = await real.call('DELETE', '/v1/auth/signup', { token });
    expect(gone).toMatchObject({
      status: 200,
      body: { state: 'abandoned', next: [{ event: 'PHONE_SUBMITTED' }] },
    });
    const refused = await submitProfile(real, token);
    expectProblem(refused, 409, 'event_refused');
    expect(refused.body).toMatchObject({ state: 'abandoned', next: [{ href: '/v1/auth/signup/phone' }] });
    expectProblem(await real.call('DELETE', '/v1/auth/signup', { token }), 409, 'event_refused');
  });
});

describe('a code of the sign-up', () => {
  test('locks at the fifth wrong value, like one of a login, and frees after the hour by a resend', async () => {
    const phone = realPhone();
    const token = (await startSignup(real, phone)).body.flow_token;
    const code = await codeOf(real, phone);
    for (let i = 0; i < 4; i++)
      expectProblem(await verifySignup(real, phone, wrongFor(code), token), 400, 'invalid_code');
    const locked = await verifySignup(real, phone, wrongFor(code), token);
    expectProblem(locked, 429, 'rate_limited');
    expect(locked.body).toMatchObject({ state: 'UNVERIFIED.locked', next: [{ event: 'ABANDON' }] });
    expectProblem(await verifySignup(real, phone, code, token), 429, 'rate_limited');
    real.clock.advance(31_000);
    expectProblem(await startSignup(real, phone, { flow_token: token }), 409, 'event_refused');
  });

  test('proven without the token leaves callers who only name the phone as blind as before', async () => {
    const phone = realPhone();
    await preUser(real, phone);
    for (const otp of ['000000', '123456'])
      expectProblem(await verifySignup(real, phone, otp), 400, 'invalid_code');
    const told = await verifySignup(real, phone, '000000');
    expect(Object.keys(told.body).sort()).toEqual(
      Object.keys((await verifySignup(real, realPhone(), '000000')).body).sort(),
    );
  });

  test('of a phone with a sign-up under way resumes it there, with a fresh token for it', async () => {
    const phone = realPhone();
    const first = await withPassword(real, phone);
    const flow = (await where(real, first)).body.flow_id;
    real.clock.advance(31_000);
    const again = await startSignup(real, phone);
    const resumed = await verifySignup(real, phone, await codeOf(real, phone), again.body.flow_token);
    expect(resumed.body).toMatchObject({ flow_id: flow, status: 'credentials_set', verified: true });
    expectProblem(await where(real, first), 401, 'invalid_flow_token');
    expect((await submitProfile(real, resumed.body.flow_token)).body.account_tier).toBe('LIMITED');
  });

  test('that was right is 409 with state and next for the replaced token, which opens nothing', async () => {
    const phone = realPhone();
    const old = (await startSignup(real, phone)).body.flow_token;
    const code = await codeOf(real, phone);
    const first = await verifySignup(real, phone, code, old);
    expect(first.body.flow_token).not.toBe(old);
    for (const otp of [code, '000000']) {
      const repeated = await verifySignup(real, phone, otp, old);
      expectProblem(repeated, 409, 'already_verified');
      expect(repeated.body).toMatchObject({
        state: 'UNVERIFIED.preuser_created',
        next: [{ event: 'PHONE_SUBMITTED', href: '/v1/auth/signup/phone' }],
      });
      expect(repeated.text).not.toMatch(/[a-z]+_token/);
    }
    // Who has the answer goes on with its own token, and is told so.
    const held = await verifySignup(real, phone, code, first.body.flow_token);
    expectProblem(held, 409, 'already_verified');
    expect(held.body.next.map((a: { event: string }) => a.event)).toContain('PASSWORD_SET');
    expectProblem(await setPassword(real, { password: PASSWORD }, old), 401, 'invalid_flow_token');
    expectProblem(await where(real, old), 401, 'invalid_flow_token');
    // By what `next` names, the person gets on where the sign-up is.
    real.clock.advance(31_000);
    const anew = await startSignup(real, phone);
    const resumed = await verifySignup(real, phone, await codeOf(real, phone), anew.body.flow_token);
    expect(resumed.body).toMatchObject({ flow_id: first.body.flow_id, status: 'preuser_created' });
    expect((await setPassword(real, { password: PASSWORD }, resumed.body.flow_token)).status).toBe(200);
    const late = await verifySignup(real, phone, code, old);
    expect(late.body).toMatchObject({ code: 'already_verified', state: 'UNVERIFIED.credentials_set' });
    real.clock.advance(real.services.config.flow.tokenTtlS * 1000);
    expectProblem(await verifySignup(real, phone, code, old), 401, 'invalid_flow_token');
  });

  test('begins a new sign-up where the snapshot of the one under way is lost, and the number is not taken', async () => {
    const phone = realPhone();
    const lost = await withPassword(real, phone);
    const { flow_id: flow } = (await where(real, lost)).body;
    await query(real, "update flows set snapshot = '{}' where id = $1", [flow]);
    expectProblem(await submitProfile(real, lost), 409, 'flow_needs_restart');
    real.clock.advance(31_000);
    const { flow_token: token } = (await startSignup(real, phone)).body;
    const proven = await verifySignup(real, phone, await codeOf(real, phone), token);
    expect(proven.body).toMatchObject({ status: 'preuser_created' });
    expect(proven.body.flow_id).not.toBe(flow);
    await setPassword(real, { password: PASSWORD }, proven.body.flow_token);
    expect((await submitProfile(real, proven.body.flow_token)).body.account_tier).toBe('LIMITED');
  });

  test('of a registered phone leads to the login and gives no token', async () => {
    const { phone } = await limited(real);
    real.clock.advance(31_000);
    const { flow_token: token } = (await startSignup(real, phone)).body;
    const known = await verifySignup(real, phone, await codeOf(real, phone), token);
    expect(known).toMatchObject({
      status: 200,
      body: { state: 'registered', next: [{ event: 'LOGIN', href: '/v1/auth/send-otp' }] },
    });
    expect(known.body.flow_token ?? known.body.temp_token ?? known.body.access_token).toBeUndefined();
  });

  test('of a reserved number starts the demo over, as often as wanted', async () => {
    const phone = freshPhone();
    const first = await limited(demo, { phone });
    demo.clock.advance(1500);
    const second = await limited(demo, { phone });
    expect(second.userId).not.toBe(first.userId);
    expectProblem(await demo.call('GET', '/v1/users/me', { token: first.access }), 401, 'invalid_token');
    expect((await demo.call('GET', '/v1/users/me', { token: second.access })).status).toBe(200);
  });
});

describe('set-password', () => {
  test('a password is hashed only for a flow that takes one, and only so often', async () => {
    const phone = realPhone();
    const hash = vi.spyOn(real.services.hasher, 'hash');
    // Nothing is proven yet: a token of the flow is there for the asking.
    const { body } = await startSignup(real, phone);
    for (const password of [PASSWORD, 'weak'])
      expectProblem(await setPassword(real, { password, pin: PIN }, body.flow_token), 409, 'event_refused');
    expect(hash).not.toHaveBeenCalled();
    const verified = await verifySignup(real, phone, await codeOf(real, phone), body.flow_token);
    const token = verified.body.flow_token;
    const answers = await Promise.all(
      Array.from({ length: 30 }, () => setPassword(real, { password: PASSWORD }, token)),
    );
    expect(answers.filter((a) => a.status === 200)).toHaveLength(1);
    expect(hash.mock.calls.length).toBeLessThanOrEqual(10);
    expectProblem(answers.find((a) => a.status === 429)!, 429, 'rate_limited');
    hash.mockRestore();
  });

  test('refuses weak passwords and PINs with every reason, and changes nothing by it', async () => {
    const phone = realPhone();
    const token = await preUser(real, phone);
    const reasons = async (body: object) => {
      const answer = await setPassword(real, body, token);
      expect(answer.status).toBe(422);
      return answer.body.errors.map((e: { pointer: string; code: string }) => `${e.pointer} ${e.code}`);
    };
    expect(await reasons({ password: 'short' })).toEqual([
      '/body/password password_too_short',
      '/body/password password_missing_upper',
      '/body/password password_missing_digit',
      '/body/password password_missing_special',
    ]);
    expect(await reasons({ password: `Aa1!${'x'.repeat(125)}` })).toEqual([
      '/body/password password_too_long',
    ]);
    expect(await reasons({ password: `Secret!x${phone}` })).toEqual([
      '/body/password password_contains_identity',
    ]);
    expect(await reasons({ password: 'Password123!' })).toContain('/body/password password_too_common');
    expect(await reasons({ password: PASSWORD, pin: '123456' })).toEqual(['/body/pin pin_too_common']);
    expect(await reasons({ password: PASSWORD, pin: phone.slice(-6) })).toContain(
      '/body/pin pin_contains_phone',
    );
    expect((await where(real, token)).body.status).toBe('preuser_created');
    const echoed = await setPassword(real, { password: 'Canary-short1'.slice(0, 11) }, token);
    expect(echoed.text).not.toContain('Canary');
    expect((await setPassword(real, { password: `Äß1!${'字'.repeat(124)}` }, token)).status).toBe(200);
  });

  test('takes only the flow’s own living token and the flow’s own phone', async () => {
    const [mine, other] = [realPhone(), realPhone()];
    const [token, foreign] = [await preUser(real, mine), await preUser(real, other)];
    expectProblem(
      await setPassword(real, { phone: other, password: PASSWORD }, token),
      401,
      'invalid_flow_token',
    );
    expectProblem(
      await setPassword(real, { phone: mine, password: PASSWORD }, foreign),
      401,
      'invalid_flow_token',
    );
    expectProblem(
      await setPassword(real, { password: PASSWORD }, `${token.slice(0, 23)}${foreign.slice(23)}`),
      401,
      'invalid_flow_token',
    );
    expectProblem(await setPassword(real, { password: PASSWORD }), 401, 'unauthenticated');
    const { access } = await limited(real);
    expectProblem(await setPassword(real, { password: PASSWORD }, access), 401, 'invalid_flow_token');
    real.clock.advance(real.services.config.flow.tokenTtlS * 1000);
    expectProblem(await setPassword(real, { password: PASSWORD }, token), 401, 'invalid_flow_token');
    expectProblem(await where(real, token), 401, 'invalid_flow_token');
  });

  test('without a token answers every phone outside the demo’s reserved ones alike', async () => {
    const known = realPhone();
    await preUser(real, known);
    for (const phone of [known, realPhone()])
      expectProblem(await setPassword(real, { phone, password: PASSWORD }), 401, 'unauthenticated');
    await preUser(demo, '+14155552671');
    expectProblem(
      await setPassword(demo, { phone: '+14155552671', password: PASSWORD }),
      401,
      'unauthenticated',
    );
  });

  test('without a token works for a reserved number in the demo, once', async () => {
    const phone = freshPhone();
    expectProblem(await setPassword(demo, { phone, password: PASSWORD }), 401, 'invalid_flow_token');
    await startSignup(demo, phone);
    expectProblem(await setPassword(demo, { phone, password: PASSWORD }), 409, 'event_refused');
    await verifySignup(demo, phone, '000000');
    expect(await setPassword(demo, { phone, password: PASSWORD })).toMatchObject({
      status: 200,
      body: { status: 'credentials_set' },
    });
    const again = await setPassword(demo, { phone, password: 'AnotherPassword@123' });
    expectProblem(again, 409, 'event_refused');
    expect(again.body).toMatchObject({ state: 'UNVERIFIED.credentials_set' });
  });

  test('a second one is refused with where the flow is, also for the token’s holder', async () => {
    const token = await withPassword(real, realPhone());
    const again = await setPassword(real, { password: PASSWORD }, token);
    expectProblem(again, 409, 'event_refused');
    expect(again.body).toMatchObject({
      state: 'UNVERIFIED.credentials_set',
      next: [{ event: 'PROFILE_SUBMITTED', schema: 'Profile' }, { event: 'ABANDON' }],
    });
  });
});

describe('profile and the risk gate', () => {
  const at = (app: TestApp, years: number, days = 0) =>
    new Date(app.clock.now() - days * 86_400_000)
      .toISOString()
      .replace(/^\d{4}/, (y) => String(Number(y) - years))
      .slice(0, 10);

  test('who is not 18 is blocked for good, without a token; who is 18 today passes', async () => {
    const young = await withPassword(real, realPhone());
    const blocked = await submitProfile(real, young, { ...ADULT, date_of_birth: at(real, 18, -2) });
    expectProblem(blocked, 403, 'risk_refused');
    expect(blocked.body).toMatchObject({
      state: 'risk_blocked',
      next: [],
      flow_id: expect.any(String),
      detail: expect.stringContaining('ask the operator'),
    });
    expect(blocked.body.access_token).toBeUndefined();
    expectProblem(await submitProfile(real, young), 409, 'event_refused');
    const grown = await withPassword(real, realPhone());
    const passed = await submitProfile(real, grown, { ...ADULT, date_of_birth: at(real, 18) });
    expect(passed.body.account_tier).toBe('LIMITED');
  });

  test('without a birth date a person looks at it; approved, the next login gives tokens', async () => {
    const phone = realPhone();
    const token = await withPassword(real, phone);
    const { date_of_birth: _, ...undated } = ADULT;
    const held = await submitProfile(real, token, undated);
    expect(held).toMatchObject({ status: 202, body: { state: 'UNVERIFIED.risk_review', missing: ['risk'] } });
    expect(held.body.access_token).toBeUndefined();
    real.clock.advance(31_000);
    expect((await login(real, phone)).body).toMatchObject({ auth_status: 'ONBOARDING_REQUIRED' });
    expect((await review(real, held.body.flow_id, 'APPROVE')).body).toMatchObject({
      account_tier: 'LIMITED',
    });
    real.clock.advance(31_000);
    expect((await login(real, phone)).body).toMatchObject({
      auth_status: 'AUTHENTICATED',
      account_tier: 'LIMITED',
    });
  });

  test('reserved numbers show a review, a block, and a blocked range', async () => {
    const ending = async (phone: string) => {
      const done = await submitProfile(demo, await withPassword(demo, phone));
      return [done.status, done.body.state, done.body.flow_id];
    };
    const [status, state, flow] = await ending('+15555550104');
    expect([status, state]).toEqual([202, 'UNVERIFIED.risk_review']);
    expect((await review(demo, flow, 'REJECT')).body).toMatchObject({ state: 'risk_blocked' });
    expect((await ending('+15555550105')).slice(0, 2)).toEqual([403, 'risk_blocked']);
    expect((await ending('+15555550663')).slice(0, 2)).toEqual([403, 'risk_blocked']);
  });

  test('dates that cannot be, and texts that cannot be stored or shown, are 400 and move nothing', async () => {
    const token = await withPassword(real, realPhone());
    const wrong: object[] = [
      ...[
        '2999-01-01',
        '0000-01-01',
        '1899-12-31',
        '1990-02-30',
        '1990-1-1',
        '',
        null,
        0,
        [],
        'x'.repeat(999),
      ].map((date_of_birth) => ({ date_of_birth })),
      ...['', ' ', 'a\u0000b', '<b>', 'x'.repeat(101), null, 7, {}].map((first_name) => ({
        first_name,
      })),
      ...['+1', 'USA', 'us', ''].map((country) => ({
        address: { line1: 'a', city: 'b', postal_code: '12345', country },
      })),
      { address: [] },
      { timezone: 'Europe/Berlin; drop' },
      { timezone: 'Nowhere/Land' },
      { locale: 'de_DE' },
      { locale: 'nonsense' },
      { persist_session: 'true' },
      { device_id: 'short' },
      { account_tier: 'FULL' },
      { tier: 'FULL' },
      { status: 'active' },
      { roles: ['admin'] },
      { risk: { decision: 'ALLOW' } },
      { user_id: '1' },
    ];
    for (const patch of wrong) {
      const answer = await submitProfile(real, token, { ...ADULT, ...patch });
      expect([answer.status, JSON.stringify(patch)]).toEqual([400, JSON.stringify(patch)]);
    }
    expect((await where(real, token)).body.status).toBe('credentials_set');
    expectProblem(await submitProfile(real, undefined), 401, 'unauthenticated');
  });
});

describe('an external risk provider', () => {
  let provider: Server;
  let app: TestApp;
  let answer: () => { status: number; body: unknown };
  const asked: { age: number; stage: string }[] = [];
  beforeAll(async () => {
    provider = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk) => chunks.push(chunk));
      request.on('end', () => {
        asked.push({ ...JSON.parse(Buffer.concat(chunks).toString()), auth: request.headers.authorization });
        const { status, body } = answer();
        response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
      });
    });
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    const { port } = provider.address() as AddressInfo;
    app = await createTestApp({
      env: {
        ...REAL,
        ...LIMITS_OFF,
        RISK_ADAPTER: 'http',
        RISK_URL: `http://127.0.0.1:${port}/score`,
        RISK_SECRET: 'risk-secret-of-the-test',
      },
    });
  });
  afterAll(async () => {
    await app.close();
    provider.close();
  });

  const pending = async () => {
    const phone = realPhone();
    const held = await submitProfile(app, await withPassword(app, phone));
    expect(held).toMatchObject({
      status: 202,
      body: { state: 'UNVERIFIED.risk_pending', next: [] },
    });
    expect(held.body.access_token).toBeUndefined();
    return { phone, flow: held.body.flow_id };
  };
  const stateOf = async (flow: string) =>
    (await app.services.db.writes`select state from flows where id = ${flow}`)[0]?.state;

  test('is asked by the relay, without personal data; its word leads to LIMITED', async () => {
    answer = () => ({ status: 200, body: { decision: 'ALLOW', reasons: [] } });
    const { phone, flow } = await pending();
    await app.relay.drain();
    expect(await stateOf(flow)).toBe('LIMITED.kyc_none');
    expect(asked.at(-1)).toMatchObject({
      stage: 'signup',
      age: expect.any(Number),
      auth: 'Bearer risk-secret-of-the-test',
    });
    expect(JSON.stringify(asked)).not.toMatch(new RegExp(`${phone.slice(1)}|1990|Ada`));
    app.clock.advance(31_000);
    expect((await login(app, phone)).body).toMatchObject({ auth_status: 'AUTHENTICATED' });
  });

  test('that blocks, holds, fails or talks nonsense never lets anybody pass', async () => {
    answer = () => ({ status: 200, body: { decision: 'BLOCK', reasons: ['sanctions'] } });
    const blocked = await pending();
    await app.relay.drain();
    expect(await stateOf(blocked.flow)).toBe('risk_blocked');

    answer = () => ({ status: 200, body: { decision: 'REVIEW', reasons: [] } });
    const held = await pending();
    await app.relay.drain();
    expect(await stateOf(held.flow)).toBe('UNVERIFIED.risk_review');

    for (const bad of [
      { status: 302, body: { decision: 'ALLOW', reasons: [] } },
      { status: 200, body: { decision: 'allow', reasons: [] } },
      { status: 200, body: { decision: 'ALLOW', reasons: [], tier: 'FULL' } },
      { status: 200, body: null },
    ]) {
      answer = () => bad;
      const { flow } = await pending();
      await app.relay.drain();
      expect(await stateOf(flow)).toBe('UNVERIFIED.risk_pending');
    }
    // An outage is waited out: the flow goes on when the provider is back.
    answer = () => ({ status: 500, body: { decision: 'ALLOW', reasons: [] } });
    const { flow } = await pending();
    await app.relay.drain();
    expect(await stateOf(flow)).toBe('UNVERIFIED.risk_pending');
    answer = () => ({ status: 200, body: { decision: 'ALLOW', reasons: [] } });
    app.clock.advance(60_000);
    await app.relay.drain();
    expect(await stateOf(flow)).toBe('LIMITED.kyc_none');
  });
});
