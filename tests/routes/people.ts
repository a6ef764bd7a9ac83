/** People of the route tests: numbers that are valid outside the demo, and the steps everybody takes. */
import { expect } from 'vitest';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { PASSWORD, PIN } from '../support/people.ts';
import { type SignupPerson, signUpTo } from '../support/sign-up.ts';

export { PASSWORD, PIN };
export const ADULT = { first_name: 'Ada', last_name: 'Byron', date_of_birth: '1990-12-10' };

/** Real numbers, real codes, the documented limits. */
export const REAL = { DEMO_MODE: 'false' };

/** The application in demo mode, and outside of it. */
export const demoAndReal = (): Promise<[demo: TestApp, real: TestApp]> =>
  Promise.all([createTestApp({ env: LIMITS_OFF }), createTestApp({ env: { ...REAL, ...LIMITS_OFF } })]);

let line = Math.floor(Math.random() * 40_000);
/** A valid number of a subscriber, each in another number range; only outside the demo worth its limits. */
export const realPhone = (): string => {
  line += 17; // the fourth of its digits ends the number range
  return `+9198${String(line % 100_000).padStart(5, '0')}${String(100 + (line % 900))}`;
};

/** The newest code the local adapter delivered to a number. */
export async function codeOf(app: TestApp, phone: string): Promise<string> {
  await app.relay.drain();
  // A notice may have come after it.
  const entries = await app.services.inbox!.list({ to: phone });
  const code = entries.find((entry) => entry.code !== undefined)?.code;
  expect(code).toMatch(/^\d{6}$/);
  return code!;
}

export const wrongFor = (code: string): string => (code === '111111' ? '222222' : '111111');

export const startSignup = (app: TestApp, phone: string, more: object = {}) =>
  app.call('POST', '/v1/auth/signup/phone', { body: { phone, ...more } });

export const verifySignup = (app: TestApp, phone: string, otp: string, token?: string) =>
  app.call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp }, token });

export const sendOtp = (app: TestApp, phone: string, token?: string) =>
  app.call('POST', '/v1/auth/send-otp', { body: { phone }, token });

export const verifyOtp = (app: TestApp, phone: string, otp: string, token?: string, more: object = {}) =>
  app.call('POST', '/v1/auth/verify-otp', { body: { phone, otp, ...more }, token });

/** Somebody new at this app: demo numbers have a fixed code, others get theirs by the local adapter. */
const newcomer = (app: TestApp, phone: string, inputs: Record<string, unknown> = {}): SignupPerson => ({
  call: app.call,
  phone,
  codeOf: () => (app.services.config.demo ? '000000' : codeOf(app, phone)),
  inputs: { ...ADULT, password: PASSWORD, ...inputs },
});

/** S1: the token that a PreUser goes on with. */
export const preUser = async (app: TestApp, phone: string): Promise<string> =>
  (await signUpTo(newcomer(app, phone), 'preuser_created')).flowToken;

/** S2. */
export const withPassword = async (app: TestApp, phone: string, pin?: string): Promise<string> =>
  (await signUpTo(newcomer(app, phone, pin ? { pin } : {}), 'credentials_set')).flowToken;

export type Person = { phone: string; access: string; flow: string; token: string; userId: string };

/** S5: a LIMITED account with its first session. */
export async function limited(
  app: TestApp,
  {
    phone = app.services.config.demo ? freshPhone() : realPhone(),
    pin,
    device = 'device-of-sign-up',
  }: {
    phone?: string;
    pin?: string;
    device?: string;
  } = {},
): Promise<Person> {
  const inputs = { device_id: device, ...(pin ? { pin } : {}) };
  const {
    access,
    flowId: flow,
    flowToken: token,
    userId,
  } = await signUpTo(newcomer(app, phone, inputs), 'LIMITED');
  expect(access).not.toBe('');
  return { phone, access, flow, token, userId };
}

let document = 1000;
/** A PAN nobody else in this process has. */
export const freshPan = (): string => `ABCDE${String(++document).padStart(4, '0')}F`;

export const submitKyc = (app: TestApp, access: string, number: string = freshPan(), type = 'PAN') =>
  app.call('POST', '/v1/kyc', { token: access, body: { document_type: type, document_number: number } });

/** S8: FULL by the local provider; the access token is still the LIMITED one of the sign-up. */
export async function full(app: TestApp, options: Parameters<typeof limited>[1] = {}): Promise<Person> {
  const person = await limited(app, options);
  expect((await submitKyc(app, person.access)).status).toBe(202);
  await app.relay.drain();
  const status = await app.call('GET', '/v1/kyc', { token: person.access });
  expect(status.body).toMatchObject({ status: 'VERIFIED', state: 'FULL' });
  return person;
}

/** Logs in with a code from a device the account knows; the answer of the last step. */
export async function login(app: TestApp, phone: string, device = 'device-of-sign-up') {
  const sent = await sendOtp(app, phone);
  expect(sent.status).toBe(200);
  const otp = app.services.config.demo ? '000000' : await codeOf(app, phone);
  return verifyOtp(app, phone, otp, sent.body.flow_token, { device_id: device });
}

export const claimsOf = (token: string) =>
  JSON.parse(Buffer.from(token.split('.')[1]!, 'base64url').toString('utf8'));

/** A problem as RFC 9457 has it, with everything that is promised of each. */
export function expectProblem(
  answer: Awaited<ReturnType<TestApp['call']>>,
  status: number,
  code: string,
): void {
  expect({ status: answer.status, code: answer.body?.code }).toEqual({ status, code });
  expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
  expect(answer.body).toMatchObject({
    type: `/problems/${code}`,
    status,
    title: expect.any(String),
    instance: expect.stringMatching(/^\//),
    request_id: answer.headers['x-request-id'],
  });
  if (status === 401) expect(answer.headers['www-authenticate']).toMatch(/^Bearer/);
  if (status === 429 || status === 503) {
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    expect(answer.body.retry_after).toBe(Number(answer.headers['retry-after']));
  }
}
