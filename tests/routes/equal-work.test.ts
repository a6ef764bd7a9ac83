/**
 * What is done before an answer must not tell whether anybody is behind an identifier. Work is counted, not timed:
 * round trips to the database, hashes, limits taken, messages sent. A clock would only see the same through noise.
 */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { type CountingProxy, countingProxy } from '../support/counting-proxy.ts';
import { createDatabase, type TestDatabase } from '../support/database.ts';
import { freshEmail, MAIL_PASSWORD, mailbox, register } from '../support/mail.ts';
import { giveEmail, query } from '../support/people.ts';
import { limited, REAL, realPhone } from './people.ts';

let app: TestApp;
let proxy: CountingProxy;
let database: TestDatabase;
/** Names of the calls that cost something, in the order of this request. */
let calls: string[] = [];

/** Every function of a part, noted when it is called. */
function watch(part: object, name: string): void {
  for (const [key, work] of Object.entries(part)) {
    if (typeof work !== 'function') continue;
    Object.assign(part, {
      [key]: (...args: unknown[]) => {
        calls.push(`${name}.${key}`);
        return work.apply(part, args);
      },
    });
  }
}

beforeAll(async () => {
  database = await createDatabase();
  proxy = await countingProxy(database.url);
  const wide = ['REGISTER', 'RECOVERY', 'CODE_SEND', 'CODE_CHECK', 'PASSWORD_LOGIN', 'PASSWORD_RESET'].map(
    (name) => [`LIMIT_${name}_NETWORK`, '100000/1m'],
  );
  app = await createTestApp({
    databaseUrl: proxy.url,
    env: { ...REAL, ...Object.fromEntries(wide), LIMIT_NETWORK: '100000/1m' },
  });
  // Nothing of the background may be counted with a request.
  Object.assign(app.services.keys, { refresh: async () => {} });
  watch(app.services.limits, 'limits');
  watch(app.services.hasher, 'hasher');
});
afterAll(async () => {
  await app.close();
  await proxy.close();
  await database.drop();
});

async function work(path: string, body: object) {
  const sent = (await app.services.inbox!.list({ limit: 1000 })).length;
  const before = proxy.roundTrips();
  calls = [];
  const answer = await app.call('POST', path, { body });
  return {
    roundTrips: proxy.roundTrips() - before,
    calls: [...calls],
    sent: (await app.services.inbox!.list({ limit: 1000 })).length - sent,
    status: answer.status,
    members: Object.keys(answer.body).sort(),
  };
}

type Identifiers = { email: string; phone: string; waiting: { email: string; userId: string } };

/** A person with a phone and a proven address, and a registration that waits for its code. */
async function somebody(): Promise<Identifiers> {
  const { phone, userId } = await limited(app);
  const email = freshEmail();
  await giveEmail(app, userId, email);
  const waiting = freshEmail();
  const registered = await register(app, waiting);
  await mailbox(app, waiting);
  return { email, phone, waiting: { email: waiting, userId: registered.body.user_id } };
}

let nobodies = 0;
const nobody = (): Identifiers => ({
  email: freshEmail(),
  phone: realPhone(),
  waiting: {
    email: freshEmail(),
    userId: `0190f3c4-0000-7000-8000-${String(++nobodies).padStart(12, '0')}`,
  },
});

const ROUTES: [path: string, what: string, body: (who: Identifiers) => object][] = [
  ['/v1/auth/password/reset-request', 'the address', ({ email }) => ({ email })],
  ['/balance_hub/auth/password/forget', 'the address', ({ email }) => ({ email })],
  ['/v1/auth/resend-verification', 'the address', ({ waiting }) => ({ email: waiting.email })],
  ['/v1/auth/resend-verification', 'the account', ({ waiting }) => ({ user_id: waiting.userId })],
  ['/balance_hub/auth/resend-verification', 'the address', ({ waiting }) => ({ email: waiting.email })],
  ['/balance_hub/auth/resend-verification', 'the account', ({ waiting }) => ({ user_id: waiting.userId })],
  ['/v1/auth/signup/phone', 'the phone', ({ phone }) => ({ phone })],
  ['/v1/auth/send-otp', 'the phone', ({ phone }) => ({ phone })],
  ['/api/v1/auth/send-code', 'the address', ({ email }) => ({ email })],
  [
    '/v1/auth/register',
    'the address',
    ({ email }) => ({ email, password: MAIL_PASSWORD, name: 'Ada Byron' }),
  ],
  ['/v1/auth/login', 'the address', ({ email }) => ({ email, password: 'Wrong-Horse-77!' })],
  ['/v1/auth/login', 'the phone', ({ phone }) => ({ phone, password: 'Wrong-Horse-77!' })],
];

test.each(ROUTES)(
  '%s does the same before its answer whether or not %s is known',
  async (path, _what, body) => {
    // The first of its kind prepares statements.
    for (const who of [await somebody(), nobody()]) await work(path, body(who));
    const people = [await somebody(), await somebody()];
    app.clock.advance(3_600_000);
    for (const known of people) {
      const [found, unknown] = [await work(path, body(known)), await work(path, body(nobody()))];
      expect(found).toEqual(unknown);
      expect(found.calls).not.toEqual([]);
      expect(found.roundTrips).toBeGreaterThan(0);
      expect(found.sent).toBe(0);
      expect(found.status).toBeLessThan(500);
      expect(found.status).not.toBe(429);
    }
  },
);

test('a password is hashed or verified for everybody, and a limit is taken for everybody', async () => {
  const login = await work('/v1/auth/login', { email: freshEmail(), password: 'Wrong-Horse-77!' });
  expect(login.calls).toEqual(['limits.passwordLogin', 'hasher.verify']);
  const registered = await work('/v1/auth/register', {
    email: freshEmail(),
    password: MAIL_PASSWORD,
    name: 'Ada Byron',
  });
  expect(registered.calls).toEqual(['limits.register', 'hasher.hash']);
});

test.each(['blocked', 'deleted'])(
  'a reset asked for a %s account does the same as for nobody',
  async (status) => {
    const path = '/v1/auth/password/reset-request';
    const known = await somebody();
    await query(
      app,
      'update accounts set status = $1 where id = (select account_id from contacts where canonical = $2)',
      [status, known.email],
    );
    await work(path, { email: freshEmail() });
    const [found, unknown] = [
      await work(path, { email: known.email }),
      await work(path, { email: freshEmail() }),
    ];
    expect(found).toEqual(unknown);
  },
);
