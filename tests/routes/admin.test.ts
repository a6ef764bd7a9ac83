/** Reviews by the bootstrap administrator: who may decide, what, and once. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { ADULT, expectProblem, limited, submitKyc, withPassword } from './people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
});
afterAll(() => app.close());

const APPROVE = { decision: 'APPROVE', reason: 'looked at it' };
const review = (flow: string, body: unknown = APPROVE, token: string | undefined = app.secrets.adminToken) =>
  app.call('POST', `/v1/admin/reviews/${flow}`, { body, token });

async function held(): Promise<string> {
  const token = await withPassword(app, '+15555550104');
  const done = await app.call('POST', '/v1/auth/signup/profile', { token, body: ADULT });
  expect(done.body.state).toBe('UNVERIFIED.risk_review');
  app.clock.advance(1500);
  return done.body.flow_id;
}

test('only the configured token decides: none, a wrong one, a user’s and a flow’s are 401 and decide nothing', async () => {
  const { access, token } = await limited(app);
  const flow = await held();
  expectProblem(
    await app.call('POST', `/v1/admin/reviews/${flow}`, { body: APPROVE }),
    401,
    'unauthenticated',
  );
  for (const wrong of [
    'wrong',
    `${app.secrets.adminToken}0`,
    app.secrets.adminToken.toUpperCase(),
    access,
    token,
  ])
    expectProblem(await review(flow, APPROVE, wrong), 401, 'invalid_token');
  const at = await app.call('POST', `/v1/admin/reviews/${flow}?token=${app.secrets.adminToken}`, {
    body: APPROVE,
  });
  expectProblem(at, 401, 'unauthenticated');
  expect((await review(flow)).body).toMatchObject({ state: 'LIMITED.kyc_none', account_tier: 'LIMITED' });
});

test('a decision is taken once, and recorded with the reviewer; the second is refused with where the flow is', async () => {
  const flow = await held();
  expect(await review(flow, { decision: 'REJECT', reason: 'a known fraud' })).toMatchObject({
    status: 200,
    body: { flow_id: flow, state: 'risk_blocked', next: [] },
  });
  const again = await review(flow);
  expectProblem(again, 409, 'event_refused');
  expect(again.body.state).toBe('risk_blocked');
  const [step] = await app.services.db.writes`
    select actor, refused from flow_steps where flow_id = ${flow} and event = 'REVIEW_DECIDED' order by id limit 1`;
  expect(step).toMatchObject({ actor: 'reviewer', refused: false });
});

test('two reviewers at once: one decision', async () => {
  const flow = await held();
  const answers = await Promise.all([
    review(flow, APPROVE),
    review(flow, { decision: 'REJECT', reason: 'not genuine' }),
    review(flow, APPROVE),
    review(flow, { decision: 'REJECT', reason: 'not genuine' }),
  ]);
  expect(answers.map((a) => a.status).sort()).toEqual([200, 409, 409, 409]);
});

test('flows that are not there, or no sign-ups, are 404; ids and bodies of another form are 400', async () => {
  expectProblem(await review(randomUUID()), 404, 'not_found');
  const sent = await app.call('POST', '/v1/auth/send-otp', { body: { phone: '+15555554321' } });
  expectProblem(await review(sent.body.flow_id), 404, 'not_found');
  for (const id of ['1', 'null', `${randomUUID()}x`, '%00', "'"])
    expect((await review(encodeURIComponent(id))).status).toBe(400);
  const { flow } = await limited(app);
  expectProblem(await review(flow), 409, 'event_refused');
  for (const body of [
    {},
    { decision: 'APPROVE' },
    { ...APPROVE, decision: 'approve' },
    { ...APPROVE, decision: true },
    { ...APPROVE, reason: '' },
    { ...APPROVE, reason: '  a ' },
    { ...APPROVE, reason: 'line\nbreak' },
    { ...APPROVE, reason: 'x'.repeat(201) },
    { ...APPROVE, reviewer: 'somebody else' },
    { ...APPROVE, tier: 'FULL' },
    [],
    null,
  ])
    expect((await review(flow, body)).status).toBe(400);
});

test('a rejected KYC review may be submitted again', async () => {
  const { access, flow } = await limited(app);
  await submitKyc(app, access, 'ZZZPZ0003Z');
  await app.relay.drain();
  expect((await review(flow, { decision: 'REJECT', reason: 'blurred' })).body.state).toBe(
    'LIMITED.kyc_rejected',
  );
  const kyc = await app.call('GET', '/v1/kyc', { token: access });
  expect(kyc.body).toMatchObject({ status: 'REJECTED', can_retry: true, reason: 'blurred' });
});
