/** Devices: what their owner sees, what trust spares, and what is left of one that is removed. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { limitedPerson, PASSWORD, type Person, PIN } from '../support/people.ts';
import { enrolTotp } from '../support/second-factor.ts';
import { expectProblem } from './people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
});
afterAll(() => app.close());

const login = ({ phone }: Person, device_fingerprint: string) =>
  app.call('POST', '/v1/auth/login', {
    body: { phone, password: PASSWORD, device_fingerprint, token_transport: 'body' },
  });
const list = async (token: string) => (await app.call('GET', '/v1/auth/devices', { token })).body.devices;
const change = (token: string, id: string, body: object) =>
  app.call('PATCH', `/v1/auth/devices/${id}`, { token, body });
const remove = (token: string, id: string) => app.call('DELETE', `/v1/auth/devices/${id}`, { token });

test('a device is listed once, with its name, its sessions and which one asks', async () => {
  const person = await limitedPerson(app);
  const { body } = await login(person, 'device-one');
  const [device, ...others] = await list(body.access_token);
  expect(others).toEqual([]);
  expect(device).toMatchObject({ name: null, trusted: true, sessions: 2, current: true });
  const named = await change(body.access_token, device.device_id, { name: 'Laptop' });
  expect(named.body.devices[0]).toMatchObject({ name: 'Laptop', trusted: true });
  for (const bad of [{}, { name: '' }, { name: '<b>' }, { trusted: 'yes' }, { owner: 'me' }])
    expectProblem(await change(body.access_token, device.device_id, bad), 400, 'validation_failed');
});

test('without trust a known device answers the PIN each time; trust comes back by a step-up', async () => {
  const person = await limitedPerson(app);
  const { body } = await login(person, 'device-one');
  const token: string = body.access_token;
  const id = (await list(token))[0].device_id;
  expect((await change(token, id, { trusted: false })).status).toBe(200);
  for (let n = 0; n < 2; n++) {
    const asked = await login(person, 'device-one');
    expect(asked.body).toMatchObject({ auth_status: 'STEP_UP_REQUIRED', factors: ['pin'] });
    const pin = { flow_token: asked.body.flow_token, pin: PIN };
    expect((await app.call('POST', '/v1/auth/login/step-up', { body: pin })).status).toBe(200);
  }
  app.clock.advance(301_000);
  expectProblem(await change(token, id, { trusted: true }), 401, 'step_up_required');
  const stepped = await app.call('POST', '/v1/auth/step-up', { token, body: { password: PASSWORD } });
  expect((await change(stepped.body.verification_token, id, { trusted: true })).status).toBe(200);
  expect((await login(person, 'device-one')).body.auth_status).toBe('AUTHENTICATED');
});

test('trust never spares a second factor', async () => {
  const person = await limitedPerson(app);
  const { body } = await login(person, 'device-one');
  await enrolTotp(app, body.access_token);
  expect((await list(body.access_token))[0].trusted).toBe(true);
  expect((await login(person, 'device-one')).body.status).toBe('mfa_required');
});

test('a removed device has no session left and is unknown at the next login; nobody removes another one’s', async () => {
  const [person, stranger] = [await limitedPerson(app), await limitedPerson(app)];
  const here = (await login(person, 'device-one')).body;
  const asked = await login(person, 'device-two');
  const pin = { flow_token: asked.body.flow_token, pin: PIN };
  const there = (await app.call('POST', '/v1/auth/login/step-up', { body: pin })).body;
  const other = (await list(here.access_token)).find((d: { current: boolean }) => !d.current);
  expectProblem(await remove(stranger.accessToken, other.device_id), 404, 'not_found');
  expect((await app.call('GET', '/v1/users/me', { token: there.access_token })).status).toBe(200);
  expect(await remove(here.access_token, other.device_id)).toMatchObject({
    status: 200,
    body: { sessions_revoked: 1 },
  });
  expect((await app.call('GET', '/v1/users/me', { token: there.access_token })).status).toBe(401);
  expect((await app.call('GET', '/v1/users/me', { token: here.access_token })).status).toBe(200);
  expect((await login(person, 'device-two')).body.auth_status).toBe('STEP_UP_REQUIRED');
  expectProblem(await remove(here.access_token, other.device_id), 404, 'not_found');
});
