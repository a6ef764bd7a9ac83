/** Codes entered by callers who only name a phone, an address or an account: they must not learn what is behind the name. */
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import { emailPerson, freshEmail, register } from '../support/mail.ts';
import { query } from '../support/people.ts';
import { preUser, sendOtp, startSignup, verifyOtp, verifySignup } from './people.ts';

const WIDE = Object.fromEntries(
  [
    'REGISTER',
    'REGISTER_NETWORK',
    'RECOVERY',
    'RECOVERY_NETWORK',
    'CODE_CHECK_NETWORK',
    'CODE_SEND_NETWORK',
    'NETWORK',
  ].map((name) => [`LIMIT_${name}`, '10000/1m']),
);

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: { ...WIDE, LIMIT_CODE_CHECK_DAILY: '20/1d' } });
});
afterAll(() => app.close());

type Answer = Awaited<ReturnType<TestApp['call']>>;
const shown = ({ status, body, headers }: Answer) => {
  const { request_id: _, ...told } = body;
  return { status, body: told, headers: Object.keys(headers).sort(), retry: headers['retry-after'] };
};
/** Seven wrong guesses, another code for the name, six more from elsewhere, and once more. */
async function story(guess: (network: string) => Promise<Answer>, another: () => Promise<unknown>) {
  const answers: Answer[] = [];
  let host = 0;
  const guesses = async (n: number) => {
    host += 1;
    for (let i = 0; i < n; i++) answers.push(await guess(`198.18.0.${host}`));
  };
  await guesses(7);
  for (let round = 0; round < 2; round++) {
    app.clock.advance(31_000);
    await another();
    await app.relay.drain();
    await guesses(6);
  }
  return answers.map(shown);
}
const block = (accountId: string) =>
  query(app, "update accounts set status = 'blocked' where id = $1", [accountId]);
const statuses = (told: { status: number }[]) => told.map(({ status }) => status);
const ONE_CODE = [400, 400, 400, 400, 429, 429, 429];
const FIVE_THEN_TEN = [...ONE_CODE, 400, 400, 400, 400, 429, 429, 429, 429, 429, 429, 429, 429];

describe('naming an account at verify-email', () => {
  const guess = (user_id: string) => (remoteAddress: string) =>
    app.call('POST', '/v1/auth/verify-email', { body: { user_id, code: '111111' }, remoteAddress });
  const another = (user_id: string) => () =>
    app.call('POST', '/v1/auth/resend-verification', { body: { user_id } });

  test('waiting, registered, blocked, by phone and unknown are told and counted alike', async () => {
    const waiting = (await register(app, freshEmail())).body.user_id;
    const blocked = (await register(app, freshEmail())).body.user_id;
    await block(blocked);
    const phone = freshPhone();
    await preUser(app, phone);
    const [byPhone] = await query<{ id: string }>(
      app,
      'select account_id as id from contacts where canonical = $1',
      [phone],
    );
    const { userId } = await emailPerson(app);
    const told: Record<string, ReturnType<typeof shown>[]> = {};
    for (const [who, id] of Object.entries({
      waiting,
      blocked,
      userId,
      byPhone: byPhone!.id,
      unknown: randomUUID(),
    }))
      told[who] = await story(guess(id), another(id));
    expect(statuses(told.unknown!)).toEqual(FIVE_THEN_TEN);
    for (const who of ['waiting', 'blocked', 'userId', 'byPhone'])
      expect(told[who], who).toEqual(told.unknown);
  });
});

describe('naming an address', () => {
  const guess = (email: string) => (remoteAddress: string) =>
    app.call('POST', '/v1/auth/verify-email', { body: { email, code: '111111' }, remoteAddress });
  const another = (email: string) => () =>
    app.call('POST', '/v1/auth/resend-verification', { body: { email } });

  test('one, two or no open registrations, an owner and a blocked owner are told and counted alike', async () => {
    const [waiting, twice] = [freshEmail(), freshEmail()];
    for (const email of [waiting, twice, twice]) await register(app, email);
    const { email: owned } = await emailPerson(app);
    const { email: blocked, userId } = await emailPerson(app);
    await block(userId);
    const unknown = await story(guess(freshEmail()), async () => {});
    const asked = freshEmail();
    const unknownAsked = await story(guess(asked), another(asked));
    expect(statuses(unknownAsked)).toEqual(FIVE_THEN_TEN);
    expect(statuses(unknown).slice(0, 7)).toEqual(ONE_CODE);
    for (const email of [waiting, twice, owned, blocked])
      expect(await story(guess(email), another(email)), email).toEqual(unknownAsked);
  });
});

describe('naming a phone', () => {
  test('a sign-up under way, blocked or never begun is told and counted alike', async () => {
    const [open, under, blocked, unknown] = [freshPhone(), freshPhone(), freshPhone(), freshPhone()];
    await startSignup(app, open);
    for (const phone of [under, blocked]) await preUser(app, phone);
    const [row] = await query<{ id: string }>(
      app,
      'select account_id as id from contacts where canonical = $1',
      [blocked],
    );
    await block(row!.id);
    const told = async (phone: string) => {
      const answers: Answer[] = [];
      for (let i = 0; i < 12; i++) answers.push(await verifySignup(app, phone, '111111'));
      return answers.map(shown);
    };
    const stranger = await told(unknown);
    expect(statuses(stranger)).toEqual([...ONE_CODE, ...Array(5).fill(429)]);
    for (const phone of [open, under, blocked]) expect(await told(phone), phone).toEqual(stranger);
  });

  test('a login code asked for or not is told and counted alike, and its holder is not kept from it', async () => {
    const [asked, unknown] = [freshPhone(), freshPhone()];
    const { flow_token: token } = (await sendOtp(app, asked)).body;
    const told = async (phone: string) => {
      const answers: Answer[] = [];
      for (let i = 0; i < 7; i++) answers.push(await verifyOtp(app, phone, '111111'));
      return answers.map(shown);
    };
    expect(await told(asked)).toEqual(await told(unknown));
    expect((await verifyOtp(app, asked, '000000', token)).status).toBe(200);
  });

  test('the holder of a locked code is told so, others are not', async () => {
    const phone = freshPhone();
    const { flow_token: token } = (await startSignup(app, phone)).body;
    for (let i = 0; i < 4; i++) await verifySignup(app, phone, '111111', token);
    expect(await verifySignup(app, phone, '111111', token)).toMatchObject({
      status: 429,
      body: { state: 'UNVERIFIED.locked' },
    });
    expect(shown(await verifySignup(app, phone, '000000'))).toEqual(
      shown(await verifySignup(app, freshPhone(), '000000')),
    );
  });
});
