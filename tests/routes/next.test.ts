/** What `next` names can be done: every action is followed against its route, in the states a person meets. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { MachineId } from '../../machines/index.ts';
import type { Action } from '../../src/http/actions.ts';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { giveEmail } from '../support/people.ts';
import { ADULT, freshPan, limited, PASSWORD, PIN, preUser, submitKyc, withPassword } from './people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
});
afterAll(() => app.close());

/** Where a flow is, and what its owner knows. `token`: of the flow or, where there is a session, the access token. */
type At = {
  machine: MachineId;
  flow: string;
  token?: string | undefined;
  phone?: string;
  email?: string;
  link?: string;
};

let nth = 0;
const freshEmail = () => `next-${++nth}@example.com`;
const started = async (phone = freshPhone()) => {
  const { body } = await app.call('POST', '/v1/auth/signup/phone', { body: { phone } });
  return { machine: 'signup', flow: body.flow_id, token: body.flow_token, phone } as const;
};
const ofToken = (token: string, phone: string): At => ({
  machine: 'signup',
  flow: flowOf(token),
  token,
  phone,
});
/** A flow token begins with the id of its flow. */
const flowOf = (token: string) =>
  Buffer.from(token.slice(0, 22), 'base64url')
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
const atKyc = async (...numbers: string[]): Promise<At> => {
  const person = await limited(app);
  for (const number of numbers) {
    await submitKyc(app, person.access, number);
    if (number !== 'ZZZPZ0004Z') await app.relay.drain();
  }
  return { machine: 'signup', flow: person.flow, token: person.access, phone: person.phone };
};
const registered = async (): Promise<At> => {
  const email = freshEmail();
  const { body } = await app.call('POST', '/v1/auth/register', {
    body: { email, password: PASSWORD, name: 'Ada' },
  });
  return { machine: 'signup', flow: body.flow_id, token: body.flow_token, email };
};
const loginSent = async (): Promise<At> => {
  const { phone } = await limited(app);
  const { body } = await app.call('POST', '/v1/auth/send-otp', { body: { phone } });
  return { machine: 'challenge', flow: body.flow_id, token: body.flow_token, phone };
};
const expired = async (at: At): Promise<At> => {
  app.clock.advance(40 * 86_400_000);
  await app.relay.drain();
  return at;
};

const WAYS: [state: string, way: () => Promise<At>][] = [
  ['UNVERIFIED.code_sent', started],
  ['UNVERIFIED.code_sent', registered],
  [
    'UNVERIFIED.preuser_created',
    async () => {
      const phone = freshPhone();
      return ofToken(await preUser(app, phone), phone);
    },
  ],
  [
    'UNVERIFIED.credentials_set',
    async () => {
      const phone = freshPhone();
      return ofToken(await withPassword(app, phone), phone);
    },
  ],
  [
    'abandoned',
    async () => {
      const at = await started();
      await app.call('DELETE', '/v1/auth/signup', { token: at.token });
      return at;
    },
  ],
  ['expired', async () => expired(await started())],
  ['LIMITED.kyc_none', () => atKyc()],
  ['LIMITED.kyc_submitted', () => atKyc('ZZZPZ0004Z')],
  ['LIMITED.kyc_rejected', () => atKyc('ZZZPZ0001Z')],
  ['LIMITED.kyc_refused', () => atKyc('ZZZPZ0002Z')],
  ['LIMITED.kyc_review', () => atKyc('ZZZPZ0003Z')],
  ['FULL', () => atKyc(freshPan())],
  ['code_sent', loginSent],
  ['expired', async () => expired(await loginSent())],
  [
    'code_sent',
    async () => {
      const { access } = await limited(app);
      const email = freshEmail();
      const body = { type: 'email', value: email, current_password: PASSWORD };
      const { body: begun } = await app.call('POST', '/v1/users/me/contacts', { token: access, body });
      return { machine: 'challenge', flow: begun.flow_id, token: access, email, link: begun.flow_token };
    },
  ],
  [
    'L4_step_up',
    async () => {
      const { phone } = await limited(app, { pin: PIN });
      await app.call('POST', '/v1/auth/send-otp', { body: { phone } });
      const { body } = await app.call('POST', '/v1/auth/verify-otp', {
        body: { phone, otp: '000000', device_id: 'another-device' },
      });
      return { machine: 'login', flow: body.flow_id, token: body.flow_token, phone };
    },
  ],
  [
    'L6_result.AUTHENTICATED',
    async () => {
      const { phone } = await limited(app);
      await app.call('POST', '/v1/auth/send-otp', { body: { phone } });
      const { body } = await app.call('POST', '/v1/auth/verify-otp', { body: { phone, otp: '000000' } });
      return { machine: 'login', flow: body.flow_id, token: body.access_token, phone };
    },
  ],
  [
    'L6_result.ONBOARDING_REQUIRED',
    async () => {
      const phone = freshPhone();
      await app.call('POST', '/v1/auth/send-otp', { body: { phone } });
      const { body } = await app.call('POST', '/v1/auth/verify-otp', { body: { phone, otp: '000000' } });
      return { machine: 'login', flow: body.flow_id, phone };
    },
  ],
  [
    'requested',
    async () => {
      const { userId } = await limited(app);
      const email = freshEmail();
      await giveEmail(app, userId, email);
      await app.call('POST', '/v1/auth/password/reset-request', { body: { email } });
      await app.relay.drain();
      const [mail] = await app.services.inbox!.list({ to: email });
      const link = /[\w-]{22}\.[\w-]{43}/.exec(mail?.text ?? '')?.[0] ?? '';
      return { machine: 'recovery', flow: flowOf(link), link };
    },
  ],
];

/** A well-formed body for each route that `next` names. */
const bodyOf = ({ href }: Action, { phone, email, link }: At): object | undefined =>
  ({
    '/v1/auth/signup/phone': { phone },
    '/v1/auth/signup/verify-otp': { phone, otp: '000000' },
    '/v1/auth/signup/set-password': { password: PASSWORD },
    '/v1/auth/signup/profile': ADULT,
    '/v1/auth/register': { email, password: PASSWORD, name: 'Ada' },
    '/v1/auth/verify-email': { code: '000000' },
    '/v1/auth/resend-verification': { email },
    '/v1/auth/send-otp': { phone },
    '/v1/auth/verify-otp': { phone, otp: '000000' },
    '/v1/auth/login/step-up': { pin: PIN },
    '/v1/kyc': { document_type: 'PAN', document_number: freshPan() },
    '/v1/users/me/contacts': { type: 'email', value: email, current_password: PASSWORD },
    '/v1/users/me/contacts/verify': { flow_token: link, code: '000000' },
    '/v1/auth/password/reset': { token: link, new_password: 'Another-Secret#2024' },
  })[href] as object | undefined;

/** Others decide, or have decided for good. */
const WAITING = new Set(['LIMITED.kyc_submitted', 'LIMITED.kyc_refused', 'LIMITED.kyc_review']);

/** A step that begins anew goes without the token of the flow that is over. */
const startsAnew = new Set(['PHONE_SUBMITTED', 'REGISTERED']);

describe.each(WAYS)('in %s', (state, way) => {
  const actionsAt = async (at: At): Promise<Action[]> => {
    const caller = { now: app.clock.now(), deviceId: null, envelope: { actor: 'client' } } as never;
    const { view } = await app.services.engine.read(at.machine, { id: at.flow }, caller);
    expect(view.state).toBe(state);
    return app.services.actions.next(view, app.clock.now());
  };

  test('each action is taken by its route', async () => {
    const actions = await actionsAt(await way());
    expect(actions.length === 0).toBe(WAITING.has(state));
    for (const action of actions) {
      const at = await way();
      app.clock.advance(120_000);
      const over = at.machine !== 'login' && state === 'expired';
      const token = startsAnew.has(action.event) || over ? undefined : at.token;
      const body = bodyOf(action, at);
      const answer = await app.call(action.method as 'POST', action.href, {
        token,
        ...(body ? { body } : {}),
      });
      expect([action.href, answer.status < 300, answer.status < 300 ? '' : answer.text]).toEqual([
        action.href,
        true,
        '',
      ]);
    }
  });
});
