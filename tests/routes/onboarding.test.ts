/** Every way in has a way on to FULL; each wait and each refusal says what to do about it. */
import bcrypt from 'bcryptjs';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { FORMATS } from '../../src/features/import/formats.ts';
import { importUser } from '../../src/features/import/import-user.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { ADULT, expectProblem, freshPan, full, limited, login, submitKyc } from './people.ts';

const PASSWORD = 'Lantern-Quarry-58!';
let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
});
afterAll(() => app.close());

let nth = 0;
const freshEmail = () => `onboarding-${++nth}@example.com`;
const logIn = (email: string) =>
  app.call('POST', '/v1/auth/login', { body: { email, password: PASSWORD, token_transport: 'body' } });
const events = (answer: { body: { next: { event: string }[] } }) => answer.body.next.map((a) => a.event);
const profile = (token: string, more: object = {}) =>
  app.call('POST', '/v1/auth/signup/profile', { token, body: { ...ADULT, ...more } });

/** Each way to a LIMITED account without a profile; gives the address. */
const WAYS: Record<string, () => Promise<string>> = {
  'by e-mail': async () => {
    const email = freshEmail();
    const body = { email, password: PASSWORD, name: 'Ada Byron' };
    const { body: begun } = await app.call('POST', '/v1/auth/register', { body });
    const proof = { flow_token: begun.flow_token, code: '000000' };
    expect((await app.call('POST', '/v1/auth/verify-email', { body: proof })).status).toBe(200);
    return email;
  },
  'by balance_hub': async () => {
    const email = freshEmail();
    const body = { username: `hubuser${nth}`, email, password: PASSWORD };
    const { body: begun } = await app.call('POST', '/balance_hub/auth/register', { body });
    const proof = { user_id: begun.user_id, code: '000000' };
    expect((await app.call('POST', '/balance_hub/auth/verify-email', { body: proof })).status).toBe(200);
    return email;
  },
  'by import': async () => {
    const email = freshEmail();
    const user = FORMATS.supabase.parse({
      email,
      email_confirmed_at: '2024-01-01T00:00:00Z',
      encrypted_password: bcrypt.hashSync(PASSWORD, 4),
    });
    expect(await importUser(app.services, user)).toBe('imported');
    return email;
  },
};

describe.each(Object.entries(WAYS))('an account that came %s', (_way, come) => {
  test('reaches FULL with its access token alone, a month after the sign-up', async () => {
    const email = await come();
    app.clock.advance(31 * 86_400_000);
    const loggedIn = await logIn(email);
    expect(loggedIn).toMatchObject({ status: 200, body: { account_tier: 'LIMITED' } });
    expect(events(loggedIn)).toEqual(['PROFILE_SUBMITTED', 'ME']);
    const access = loggedIn.body.access_token;
    expectProblem(await submitKyc(app, access), 409, 'event_refused');

    const completed = await profile(access);
    expect(completed).toMatchObject({ status: 200, body: { state: 'LIMITED.kyc_none', missing: [] } });
    expect(events(completed)).toEqual(['KYC_SUBMITTED']);
    // Completing it opens no second session and gives no tokens.
    expect(completed.body.access_token).toBeUndefined();
    expect(events(await logIn(email))).toEqual(['KYC_SUBMITTED', 'ME']);
    expectProblem(await profile(access), 409, 'event_refused');

    expect((await submitKyc(app, access)).status).toBe(202);
    expect(events(await logIn(email))).toEqual(['ME']);
    await app.relay.drain();
    const verified = await logIn(email);
    expect(verified.body.account_tier).toBe('FULL');
    expect(events(verified)).toEqual(['ME']);
  });
});

test('a profile is completed by its own session only: not by a dead token, nor a token cut short', async () => {
  const email = await WAYS['by e-mail']!();
  const { body } = await logIn(email);
  for (const wrong of [`${body.access_token.slice(0, -4)}AAAA`, 'a.b.c', body.refresh_token])
    expect((await profile(wrong)).status).toBe(401);
  await app.call('POST', '/v1/auth/logout', { token: body.access_token });
  expectProblem(await profile(body.access_token), 401, 'invalid_token');
  const again = await logIn(email);
  expect(events(again)).toEqual(['PROFILE_SUBMITTED', 'ME']);
});

test('a login by phone names what is left on the way to FULL', async () => {
  const { phone } = await limited(app);
  app.clock.advance(4000);
  const answer = await login(app, phone);
  expect(events(answer)).toEqual(['KYC_SUBMITTED', 'ME']);
  expect(answer.body.next[0]).toMatchObject({ method: 'POST', href: '/v1/kyc', schema: 'SubmitKyc' });
});

describe('while others decide, the answer says when to ask again', () => {
  const asked = (access: string) => app.call('GET', '/v1/kyc', { token: access });

  test('a document at the provider, then none once it is decided', async () => {
    const { access } = await limited(app);
    const idle = await asked(access);
    expect([idle.body.poll_after, idle.headers['retry-after']]).toEqual([null, undefined]);
    for (const waiting of [await submitKyc(app, access), await asked(access)]) {
      expect(waiting.body).toMatchObject({ status: 'PENDING', poll_after: expect.any(Number) });
      expect(waiting.headers['retry-after']).toBe(String(waiting.body.poll_after));
    }
    await app.relay.drain();
    const decided = await asked(access);
    expect(decided.body).toMatchObject({ status: 'VERIFIED', poll_after: null, message: null });
    expect(decided.headers['retry-after']).toBeUndefined();
  });

  test('a review takes longer than a program', async () => {
    const { access } = await limited(app);
    const pending = await submitKyc(app, access, 'ZZZPZ0003Z');
    await app.relay.drain();
    const reviewed = await asked(access);
    expect(reviewed.body.status).toBe('IN_REVIEW');
    expect(reviewed.body.poll_after).toBeGreaterThan(pending.body.poll_after);
    expect(reviewed.headers['retry-after']).toBe(String(reviewed.body.poll_after));
  });
});

describe('a rejected document says what the person may do', () => {
  test('one that another account uses leads to that account', async () => {
    const number = freshPan();
    const first = await full(app);
    const status = async (access: string) => (await app.call('GET', '/v1/kyc', { token: access })).body;
    expect((await status(first.access)).status).toBe('VERIFIED');
    const [one, two] = [await limited(app), await limited(app)];
    for (const { access } of [one, two]) {
      await submitKyc(app, access, number);
      await app.relay.drain();
    }
    expect(await status(two.access)).toMatchObject({
      status: 'REJECTED',
      reason: 'document_in_use',
      message: expect.stringContaining('Log in to that account'),
      can_retry: false,
    });
    const { body: document } = await app.call('GET', '/openapi.json');
    expect(document.paths['/v1/kyc'].post.description).toContain('document_in_use');
  });

  test('one that was unreadable may be submitted again', async () => {
    const { access } = await limited(app);
    await submitKyc(app, access, 'ZZZPZ0001Z');
    await app.relay.drain();
    const { body } = await app.call('GET', '/v1/kyc', { token: access });
    expect(body).toMatchObject({ can_retry: true, message: expect.stringContaining('POST /v1/kyc') });
  });
});

test('the code risk_refused has its page', async () => {
  const page = await app.call('GET', '/problems/risk_refused');
  expect(page).toMatchObject({ status: 200, body: { status: 403, code: 'risk_refused' } });
});
