/** The demo's clock: time passes on request, timers fire by themselves, and nothing else minds. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ startRelay: true });
});
afterAll(() => app.close());

const advance = (advance_seconds: unknown) => app.call('POST', '/dev/clock', { body: { advance_seconds } });
const started = async () => {
  const phone = freshPhone();
  const { body } = await app.call('POST', '/v1/auth/signup/phone', { body: { phone } });
  return { phone, id: body.flow_id as string, token: body.flow_token as string };
};

test('a code that was right is too late', async () => {
  const { phone, token } = await started();
  const moved = await advance(3600);
  expect(moved.status).toBe(200);
  expect(moved.body.offset_seconds).toBe(3600);
  const verified = await app.call('POST', '/v1/auth/signup/verify-otp', {
    body: { phone, otp: '000000', flow_token: token },
  });
  expect(verified.status).toBeGreaterThanOrEqual(400);
  expect(verified.body.code).not.toBe('validation_failed');
});

test('a sign-up nobody went on with expires by itself', async () => {
  const { id } = await started();
  await advance(31 * 86_400);
  const stateOf = async () => {
    const loaded = await app.services.flows.byId(id, { deviceId: null, now: new Date(app.clock.now()) });
    return loaded?.flow.state;
  };
  const deadline = Date.now() + 8000;
  while ((await stateOf()) !== 'expired' && Date.now() < deadline)
    await new Promise((r) => setTimeout(r, 50));
  expect(await stateOf()).toBe('expired');
});

test('the service is ready in any time, and says what time it is', async () => {
  const ready = await app.call('GET', '/health/ready');
  expect(ready.status).toBe(200);
  const { body } = await app.call('GET', '/dev/clock');
  expect(Date.parse(body.now) - Date.now()).toBeGreaterThan(31 * 86_400_000);
  expect(Date.parse(ready.body.timestamp)).toBeGreaterThanOrEqual(Date.parse(body.now) - 1000);
});

test.each([0, -1, 1.5, 7_776_001, '60', null])('moving by %s is refused and moves nothing', async (by) => {
  const before = app.clock.offset();
  expect((await advance(by)).status).toBe(400);
  expect(app.clock.offset()).toBe(before);
});

test('outside demo mode there is no such clock', async () => {
  const real = await createTestApp({ env: { DEMO_MODE: 'false' } });
  expect((await real.call('GET', '/dev/clock')).status).toBe(404);
  expect((await real.call('POST', '/dev/clock', { body: { advance_seconds: 1 } })).status).toBe(404);
  await real.close();
});
