/** One person's way from a phone number to FULL, and back in through the step-up. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());

test('a phone becomes a LIMITED account with tokens, FULL after KYC, and a new device must step up', async () => {
  const phone = '+15555551234';
  const started = await app.call('POST', '/v1/auth/signup/phone', { body: { phone } });
  expect(started).toMatchObject({ status: 200, body: { status: 'OTP_SENT', state: 'UNVERIFIED.code_sent' } });
  const verified = await app.call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp: '000000' } });
  expect(verified).toMatchObject({ status: 200, body: { status: 'preuser_created', verified: true } });
  const token = verified.body.temp_token;
  const password = { password: 'StrongPassword@123', pin: '482915' };
  expect(await app.call('POST', '/v1/auth/signup/set-password', { body: password, token })).toMatchObject({
    status: 200,
    body: { status: 'credentials_set' },
  });
  const profile = await app.call('POST', '/v1/auth/signup/profile', {
    token,
    body: { first_name: 'Ada', last_name: 'Byron', date_of_birth: '1990-12-10', device_id: 'device-one' },
  });
  expect(profile).toMatchObject({
    status: 200,
    body: { auth_status: 'AUTHENTICATED', account_tier: 'LIMITED' },
  });
  const access = profile.body.access_token;
  const kyc = { document_type: 'PAN', document_number: 'ABCDE1234F' };
  expect(await app.call('POST', '/v1/kyc', { token: access, body: kyc })).toMatchObject({ status: 202 });
  await app.relay.drain();
  expect(await app.call('GET', '/v1/kyc', { token: access })).toMatchObject({
    body: { status: 'VERIFIED', state: 'FULL' },
  });
  await app.call('POST', '/v1/auth/send-otp', { body: { phone } });
  const login = await app.call('POST', '/v1/auth/verify-otp', { body: { phone, otp: '000000' } });
  expect(login.body).toMatchObject({ auth_status: 'STEP_UP_REQUIRED', valid: true });
  expect(login.body.access_token).toBeUndefined();
  const stepped = await app.call('POST', '/v1/auth/login/step-up', {
    body: { flow_token: login.body.flow_token, pin: '482915' },
  });
  expect(stepped.body).toMatchObject({ auth_status: 'AUTHENTICATED', account_tier: 'FULL', scope: '*' });
  const me = await app.call('GET', '/v1/users/me', { token: stepped.body.access_token });
  expect(me).toMatchObject({ status: 200, body: { account_tier: 'FULL', name: 'Ada Byron' } });
});
