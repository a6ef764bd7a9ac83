/** A flow as its owner sees it: state, what it accepts, what it refuses and why. Anybody else’s does not exist. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { expectProblem, full, limited, preUser, sendOtp, startSignup } from './people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({
    env: {
      LIMIT_CODE_CHECK_NETWORK: '10000/1m',
      LIMIT_SET_PASSWORD_NETWORK: '10000/1m',
      LIMIT_CODE_SEND_NETWORK: '10000/1m',
      LIMIT_NETWORK: '100000/1m',
    },
  });
});
afterAll(() => app.close());

const flow = (id: string, token?: string) => app.call('GET', `/v1/flows/${id}`, { token });

test('with its token: allowed events with the name of their input, refused ones with the reason, and the expiry', async () => {
  const { body } = await startSignup(app, freshPhone());
  const answer = await flow(body.flow_id, body.flow_token);
  expect(answer).toMatchObject({
    status: 200,
    body: {
      flow_id: body.flow_id,
      machine: 'signup',
      version: 1,
      state: 'UNVERIFIED.code_sent',
      done: false,
      account_tier: 'UNVERIFIED',
      expires_at: body.expires_at,
    },
  });
  expect(answer.body.allowed).toEqual(answer.body.next);
  expect(answer.body.allowed).toContainEqual({
    event: 'CODE_CHECKED',
    method: 'POST',
    href: '/v1/auth/signup/verify-otp',
    schema: 'SignupVerifyOtp',
  });
  expect(answer.body.refused).toContainEqual({
    event: 'PASSWORD_SET',
    reason: expect.stringContaining('UNVERIFIED.code_sent'),
  });
  const events = [...answer.body.allowed, ...answer.body.refused].map((e: { event: string }) => e.event);
  expect(new Set(events).size).toBe(events.length);
  const { components } = (await app.call('GET', '/openapi.json')).body;
  for (const { schema } of answer.body.allowed) if (schema) expect(components.schemas[schema]).toBeDefined();
});

test('with the owner’s access token, also the flows of the sign-up long after it', async () => {
  const person = await full(app);
  expect((await flow(person.flow, person.access)).body).toMatchObject({
    state: 'FULL',
    account_tier: 'FULL',
  });
});

test('of somebody else, or unknown, is the same 404; malformed ids are 400; nobody is 401', async () => {
  const [mine, other] = [await limited(app), await limited(app)];
  const shown = async (id: string, token: string) => {
    const answer = await flow(id, token);
    expectProblem(answer, 404, 'not_found');
    const { request_id: _, instance: __, ...rest } = answer.body;
    return JSON.stringify(rest);
  };
  const unknown = await shown(randomUUID(), mine.access);
  expect(await shown(other.flow, mine.access)).toBe(unknown);
  const token = await preUser(app, freshPhone());
  expect(await shown(other.flow, token)).toBe(unknown);
  const sent = (await sendOtp(app, freshPhone())).body;
  expect(await shown(sent.flow_id, mine.access)).toBe(unknown);
  expectProblem(await flow(mine.flow), 401, 'unauthenticated');
  expectProblem(await flow(mine.flow, 'nonsense'), 401, 'invalid_token');
  for (const id of ['1', `${randomUUID()}0`, "' or 1=1", '..%2f..', '%00'])
    expect((await flow(encodeURIComponent(id), mine.access)).status).toBe(400);
});

test('looking changes nothing and costs no step', async () => {
  const { body } = await startSignup(app, freshPhone());
  for (let i = 0; i < 3; i++) await flow(body.flow_id, body.flow_token);
  const rows = await app.services.db.writes`select event from flow_steps where flow_id = ${body.flow_id}`;
  expect(rows.map((r) => r.event)).toEqual(['PHONE_SUBMITTED']);
});
