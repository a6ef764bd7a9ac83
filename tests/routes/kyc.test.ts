/** KYC over HTTP, S6 and S7, by the local provider: reserved numbers, formats, the last four characters and no more. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { expectProblem, freshPan, full, limited, login, submitKyc } from './people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
});
afterAll(() => app.close());

const status = async (access: string) => (await app.call('GET', '/v1/kyc', { token: access })).body;

test('a submission is 202 and pending; the verdict makes the account FULL; only four characters are shown', async () => {
  const { access } = await limited(app);
  expect(await status(access)).toMatchObject({
    state: 'LIMITED.kyc_none',
    status: 'NONE',
    can_retry: true,
    document_type: null,
    next: [{ event: 'KYC_SUBMITTED', method: 'POST', href: '/v1/kyc', schema: 'SubmitKyc' }],
  });
  const taken = await submitKyc(app, access, 'qwert-1234 z');
  expect(taken).toMatchObject({
    status: 202,
    body: {
      state: 'LIMITED.kyc_submitted',
      status: 'PENDING',
      account_tier: 'LIMITED',
      document_type: 'PAN',
      document_last4: '234Z',
      can_retry: false,
      decided_at: null,
      next: [],
    },
  });
  expectProblem(await submitKyc(app, access), 409, 'event_refused');
  await app.relay.drain();
  const verified = await app.call('GET', '/v1/kyc', { token: access });
  expect(verified.body).toMatchObject({
    state: 'FULL',
    status: 'VERIFIED',
    account_tier: 'FULL',
    reason: null,
  });
  expect(taken.text + verified.text).not.toMatch(/QWERT/i);
  expectProblem(await submitKyc(app, access), 409, 'event_refused');
  const stored = await app.services.db.writes`select t::text from kyc_records t`;
  expect(JSON.stringify(stored)).not.toMatch(/QWERT/i);
});

describe('reserved documents show', () => {
  test('a rejection that may be tried again, three submissions in all', async () => {
    const { access } = await limited(app);
    for (let i = 1; i <= 3; i++) {
      expect((await submitKyc(app, access, 'ZZZPZ0001Z')).status).toBe(202);
      await app.relay.drain();
      expect(await status(access)).toMatchObject({
        status: 'REJECTED',
        reason: 'document_unreadable',
        can_retry: i < 3,
      });
    }
    const fourth = await submitKyc(app, access);
    expectProblem(fourth, 409, 'event_refused');
    expect(fourth.body).toMatchObject({ state: 'LIMITED.kyc_refused', next: [] });
  });

  test('a second try with a good document that is verified', async () => {
    const { access } = await limited(app);
    await submitKyc(app, access, '9999 0000 0016', 'AADHAAR');
    await app.relay.drain();
    expect((await submitKyc(app, access)).status).toBe(202);
    await app.relay.drain();
    expect(await status(access)).toMatchObject({ status: 'VERIFIED' });
  });

  test('a final rejection', async () => {
    const { access } = await limited(app);
    await submitKyc(app, access, 'Z9999002', 'PASSPORT');
    await app.relay.drain();
    expect(await status(access)).toMatchObject({
      status: 'REJECTED',
      state: 'LIMITED.kyc_refused',
      reason: 'document_not_genuine',
      can_retry: false,
      next: [],
    });
    expectProblem(await submitKyc(app, access), 409, 'event_refused');
  });

  test('a review, which a reviewer settles', async () => {
    const { access, flow } = await limited(app);
    await submitKyc(app, access, 'ZZZPZ0003Z');
    await app.relay.drain();
    expect(await status(access)).toMatchObject({
      status: 'IN_REVIEW',
      state: 'LIMITED.kyc_review',
      next: [],
    });
    const done = await app.call('POST', `/v1/admin/reviews/${flow}`, {
      token: app.secrets.adminToken,
      body: { decision: 'APPROVE', reason: 'looks genuine' },
    });
    expect(done).toMatchObject({ status: 200, body: { state: 'FULL', account_tier: 'FULL' } });
    expect(await status(access)).toMatchObject({ status: 'VERIFIED' });
  });

  test('a provider that is down: pending, retried, never verified by it', async () => {
    const { access } = await limited(app);
    await submitKyc(app, access, 'ZZZPZ0004Z');
    await app.relay.drain();
    expect(await status(access)).toMatchObject({ status: 'PENDING' });
    const waiting = await app.services.db.writes`
      select attempts, last_error from outbox where topic = 'kyc.submit' and status = 'pending'`;
    expect(waiting).toHaveLength(1);
    expect(waiting[0]?.last_error).not.toMatch(/ZZZPZ/);
  });
});

test('a document that verified one account is refused on a second one, also by a reviewer', async () => {
  const number = freshPan();
  const [first, second] = [await limited(app), await limited(app)];
  await submitKyc(app, first.access, number);
  await app.relay.drain();
  await submitKyc(app, second.access, number.toLowerCase());
  await app.relay.drain();
  expect(await status(first.access)).toMatchObject({ status: 'VERIFIED' });
  expect(await status(second.access)).toMatchObject({
    status: 'REJECTED',
    reason: 'document_in_use',
    can_retry: false,
  });

  const [third, fourth] = [await limited(app), await limited(app)];
  for (const { access } of [third, fourth]) await submitKyc(app, access, '999900000037', 'AADHAAR');
  await app.relay.drain();
  const approve = ({ flow }: { flow: string }) =>
    app.call('POST', `/v1/admin/reviews/${flow}`, {
      token: app.secrets.adminToken,
      body: { decision: 'APPROVE', reason: 'looks genuine' },
    });
  expect((await approve(third)).status).toBe(200);
  const refused = await approve(fourth);
  expectProblem(refused, 409, 'conflict');
  expect(await status(fourth.access)).toMatchObject({ status: 'IN_REVIEW' });
});

test('documents of the wrong form are 400 with the field, and use up no submission', async () => {
  const { access } = await limited(app);
  const wrong: [unknown, unknown][] = [
    ['PAN', 'ABCDE12345'],
    ['PAN', 'ＡＢＣＤＥ1234F'],
    ['PAN', 'ABCDE1234F\u0000'],
    ['PAN', ''],
    ['PAN', null],
    ['PAN', 1234567890],
    ['PAN', ['ABCDE1234F']],
    ['PAN', 'A'.repeat(10_000)],
    ['AADHAAR', '99990000001'],
    ['AADHAAR', 'ABCDE1234F'],
    ['PASSPORT', '1234567'],
    ['pan', 'ABCDE1234F'],
    ['VISA', 'ABCDE1234F'],
    [null, 'ABCDE1234F'],
  ];
  for (const [document_type, document_number] of wrong) {
    const answer = await app.call('POST', '/v1/kyc', {
      token: access,
      body: { document_type, document_number },
    });
    expect(answer.status).toBe(400);
    if (answer.body.code === 'validation_failed')
      expect(answer.body.errors[0].pointer).toMatch(/^\/body\/document_(type|number)$/);
    if (typeof document_number === 'string' && document_number.length > 4)
      expect(answer.text).not.toContain(document_number.slice(0, 50));
  }
  for (const extra of [{ status: 'VERIFIED' }, { user_id: 'x' }, { kyc_id: 'x' }, { account_tier: 'FULL' }]) {
    const body = { document_type: 'PAN', document_number: 'ABCDE1234F', ...extra };
    const answer = await app.call('POST', '/v1/kyc', { token: access, body });
    expectProblem(answer, 400, 'validation_failed');
    expect(answer.body.errors).toEqual([
      { pointer: `/body/${Object.keys(extra)[0]}`, code: 'unrecognized_key', message: 'is not known here' },
    ]);
  }
  expect(await status(access)).toMatchObject({ status: 'NONE' });
});

test('needs a living session of one’s own: none, a flow token, a foreign scheme and a blocked account are 401', async () => {
  const { access, token, userId } = await limited(app);
  expectProblem(await app.call('GET', '/v1/kyc'), 401, 'unauthenticated');
  expectProblem(await app.call('POST', '/v1/kyc', { body: { document_type: 7 } }), 401, 'unauthenticated');
  expectProblem(await app.call('GET', '/v1/kyc', { token }), 401, 'invalid_token');
  for (const authorization of ['Basic dXNlcjpwYXNz', access, 'Bearer'])
    expectProblem(await app.call('GET', '/v1/kyc', { headers: { authorization } }), 401, 'invalid_token');
  await app.services.db.writes`update accounts set status = 'blocked' where id = ${userId}`;
  expectProblem(await app.call('GET', '/v1/kyc', { token: access }), 401, 'invalid_token');
  expectProblem(await submitKyc(app, access), 401, 'invalid_token');
});

test('after FULL the next login says so, and the token of before reads the new tier from the database', async () => {
  const person = await full(app);
  const me = await app.call('GET', '/v1/users/me', { token: person.access });
  expect(me.body).toMatchObject({ account_tier: 'FULL', scope: '*' });
  app.clock.advance(1500);
  expect((await login(app, person.phone)).body).toMatchObject({ account_tier: 'FULL', scope: '*' });
});
