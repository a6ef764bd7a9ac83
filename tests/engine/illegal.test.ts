/** Every client event in every resting state of a sign-up, over HTTP: what the machine does not accept changes nothing. */
import postgres, { type Sql } from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type AnyMachineSnapshot, getNextTransitions } from 'xstate';
import { registry } from '../../machines/index.ts';
import { restore } from '../../src/engine/snapshots.ts';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { PASSWORD, PROFILE } from '../support/person.ts';
import { type SignupPerson, signUpTo } from '../support/sign-up.ts';
import { added, dump } from '../support/tables.ts';

let app: TestApp;
let sql: Sql;
beforeAll(async () => {
  app = await createTestApp({ env: LIMITS_OFF });
  sql = postgres(app.databaseUrl, { max: 2, onnotice: () => {} });
});
afterAll(async () => {
  await sql.end();
  await app.close();
});

type At = { phone: string; flowId: string; token: string; access?: string };
type Step = (at: At) => Promise<unknown>;

const wrongCode: Step = ({ phone, token }) =>
  app.call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp: '999999' }, token });
const kyc =
  (document_number: string): Step =>
  async ({ access }) => {
    await app.relay.drain();
    await app.call('POST', '/v1/kyc', { body: { document_type: 'PAN', document_number }, token: access });
  };
const deliver: Step = () => app.relay.drain();
const abandon: Step = ({ token }) => app.call('DELETE', '/v1/auth/signup', { token });
/** Goes on from the start of the sign-up, as far as the state. */
const to =
  (state: string): Step =>
  async (at) => {
    const { flowId, flowToken: token, access } = await signUpTo(newcomer(at.phone), state);
    Object.assign(at, { flowId, token, access: access || undefined });
  };
const LIMITED = [to('LIMITED')];

const newcomer = (phone: string): SignupPerson => ({
  call: app.call,
  phone,
  codeOf: () => '000000',
  inputs: { ...PROFILE, password: PASSWORD },
});
const WAYS: [state: string, way: Step[], phone?: string][] = [
  ['UNVERIFIED.code_sent', [to('code_sent')]],
  ['UNVERIFIED.locked', [to('code_sent'), wrongCode], '+15555550102'],
  ['UNVERIFIED.preuser_created', [to('preuser_created')]],
  ['UNVERIFIED.credentials_set', [to('credentials_set')]],
  ['UNVERIFIED.risk_review', [to('risk_review')], '+15555550104'],
  ['risk_blocked', [to('risk_blocked')], '+15555550105'],
  ['LIMITED.kyc_none', LIMITED],
  ['LIMITED.kyc_submitted', [...LIMITED, kyc('ZZZPZ0004Z')]],
  ['LIMITED.kyc_rejected', [...LIMITED, kyc('ZZZPZ0001Z'), deliver]],
  ['LIMITED.kyc_refused', [...LIMITED, kyc('ZZZPZ0002Z'), deliver]],
  ['LIMITED.kyc_review', [...LIMITED, kyc('ZZZPZ0003Z'), deliver]],
  ['FULL', [...LIMITED, kyc('ABCDE1234F'), deliver]],
  ['abandoned', [to('code_sent'), abandon]],
];

/** A well-formed request for each event a client may cause. */
const REQUESTS: [event: string, ask: (at: At) => ReturnType<TestApp['call']>][] = [
  [
    'CODE_REQUESTED',
    ({ phone, token }) => app.call('POST', '/v1/auth/signup/phone', { body: { phone }, token }),
  ],
  [
    'CODE_CHECKED',
    ({ phone, token }) =>
      app.call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp: '000000' }, token }),
  ],
  [
    'PASSWORD_SET',
    ({ token }) => app.call('POST', '/v1/auth/signup/set-password', { body: { password: PASSWORD }, token }),
  ],
  ['PROFILE_SUBMITTED', ({ token }) => app.call('POST', '/v1/auth/signup/profile', { body: PROFILE, token })],
  ['ABANDON', ({ token }) => app.call('DELETE', '/v1/auth/signup', { token })],
  [
    'KYC_SUBMITTED',
    ({ access }) =>
      app.call('POST', '/v1/kyc', {
        body: { document_type: 'PAN', document_number: 'ABCDE9999F' },
        token: access,
      }),
  ],
];

/** The events that the machine has a transition for, whatever its guards say. */
const possibleIn = (snapshot: AnyMachineSnapshot): string[] =>
  getNextTransitions(snapshot).map((transition) => transition.eventType as string);
const snapshotIn = (state: string): AnyMachineSnapshot => {
  const [outer, inner] = state.split('.') as [string, string?];
  return registry.signup.machine.resolveState({ value: inner ? { [outer]: inner } : outer, context: {} });
};

describe.each(WAYS)('in %s', (state, way, reserved) => {
  const at: At = { phone: '', flowId: '', token: '' };
  const possible = possibleIn(snapshotIn(state));
  const illegal = REQUESTS.filter(([event]) => !possible.includes(event));
  beforeAll(async () => {
    app.clock.advance(2000);
    at.phone = reserved ?? freshPhone();
    for (const step of way) await step(at);
    await app.relay.drain();
    const [flow] = await sql`select state, machine_version v, snapshot from flows where id = ${at.flowId}`;
    expect(flow?.state).toBe(state);
    const restored = restore(registry.signup, flow?.v, flow?.snapshot);
    if (!restored.ok) throw restored.error;
    expect(possibleIn(restored.snapshot)).toEqual(possible);
  });

  test.each(illegal)('%s is refused without a trace but its refused step', async (event, ask) => {
    app.clock.advance(2000);
    const withoutAccess = event === 'KYC_SUBMITTED' && !at.access;
    const before = await dump(sql);
    const answer = await ask(at);
    const after = await dump(sql);
    if (withoutAccess) {
      expect(answer.status).toBe(401);
      expect(after).toEqual(before);
      return;
    }
    // A right code repeated says more: the answer to the first one may have been lost.
    const code =
      event === 'CODE_CHECKED' && answer.body.code === 'already_verified'
        ? 'already_verified'
        : 'event_refused';
    expect(answer).toMatchObject({ status: 409, body: { code, state } });
    expect(answer.headers['content-type']).toContain('application/problem+json');
    const next = answer.body.next.map((action: { event: string }) => action.event);
    expect(next).not.toContain(event);
    expect(added(before, after, 'flow_steps')).toMatchObject([
      { flow_id: at.flowId, event, refused: true, from_state: state, to_state: state, actor: 'client' },
    ]);
    expect({ ...after, flow_steps: before.flow_steps }).toEqual(before);
  });
});
