/** A restored backup must not bring back to life what had ended since: all of it ends, and passwords need a code once. */
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { command, stamp } from '../../src/cli/restored.ts';
import {
  claimsOf,
  codeOf,
  full,
  limited,
  PASSWORD,
  PIN,
  preUser,
  REAL,
  sendOtp,
  startSignup,
  verifyOtp,
  verifySignup,
  wrongFor,
} from '../routes/people.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { createDatabase, createEmptyDatabase } from '../support/database.ts';
import { freshEmail, mailbox } from '../support/mail.ts';
import { giveEmail, query } from '../support/people.ts';

const ENV = {
  ...REAL,
  ...Object.fromEntries(
    [
      'PASSWORD_LOGIN',
      'CODE_SEND',
      'CODE_CHECK',
      'RECOVERY',
      'REGISTER',
      'PASSWORD_RESET',
      'SECOND_FACTOR',
    ].map((name) => [`LIMIT_${name}_NETWORK`, '100000/1m']),
  ),
};
const open = (databaseUrl?: string, secrets?: TestApp['secrets']) =>
  createTestApp({ env: ENV, ...(databaseUrl ? { databaseUrl } : {}), ...(secrets ? { secrets } : {}) });

const byPassword = (app: TestApp, identifier: object, device = 'device-of-sign-up') =>
  app.call('POST', '/v1/auth/login', {
    body: { ...identifier, password: PASSWORD, device_fingerprint: device, token_transport: 'body' },
  });
const answer = (app: TestApp, token: string, body: object) =>
  app.call('POST', '/v1/auth/login/step-up', { token, body });
const later = (app: TestApp) => app.clock.advance(120_000);

/** One person of each kind, in the middle of something. */
async function world(app: TestApp) {
  const ada = await limited(app);
  const email = freshEmail();
  await giveEmail(app, ada.userId, email);
  const session = (await byPassword(app, { phone: ada.phone })).body;
  const pinned = await full(app, { pin: PIN });
  later(app);
  const begun = await sendOtp(app, pinned.phone);
  const waiting = await verifyOtp(app, pinned.phone, await codeOf(app, pinned.phone), begun.body.flow_token, {
    device_id: 'device-unknown',
  });
  expect(waiting.body).toMatchObject({ auth_status: 'STEP_UP_REQUIRED', factors: ['pin'] });
  const newcomer = `${ada.phone.slice(0, -1)}${(Number(ada.phone.at(-1)) + 1) % 10}`;
  const signup = await preUser(app, newcomer);
  await app.call('POST', '/v1/auth/password/reset-request', { body: { email } });
  const [mail] = await mailbox(app, email);
  const reset = /code=([\w.~-]+)/.exec(JSON.stringify(mail))?.[1];
  if (!reset) throw new Error('no link was mailed');
  const challenge = (await sendOtp(app, ada.phone)).body.flow_token as string;
  const code = await codeOf(app, ada.phone);
  return {
    ...{ ada, email, session, pinned, newcomer, signup, reset, challenge, code },
    stepUp: waiting.body.flow_token as string,
  };
}
type World = Awaited<ReturnType<typeof world>>;

/** Statuses of what was issued, used now. */
async function used(app: TestApp, w: World) {
  const status = async (answering: ReturnType<TestApp['call']>) => (await answering).status;
  return {
    access: await status(app.call('GET', '/v1/users/me', { token: w.session.access_token })),
    refresh: await status(
      app.call('POST', '/v1/auth/refresh', { body: { refresh_token: w.session.refresh_token } }),
    ),
    signup: await status(app.call('GET', '/v1/auth/signup', { token: w.signup })),
    code: await status(verifyOtp(app, w.ada.phone, w.code, w.challenge, { device_id: 'device-of-sign-up' })),
    stepUp: await status(answer(app, w.stepUp, { pin: PIN })),
    reset: await status(
      app.call('POST', '/v1/auth/password/reset', {
        body: { token: w.reset, new_password: 'Another-Horse-99!' },
      }),
    ),
  };
}
const ALIVE = { access: 200, refresh: 200, signup: 200, code: 200, stepUp: 200, reset: 200 };
const DEAD = { access: 401, refresh: 401, signup: 401, code: 401, stepUp: 401, reset: 400 };

describe('after the stamp', () => {
  let app: TestApp;
  let w: World;
  beforeAll(async () => {
    app = await open();
    w = await world(app);
    expect(await stamp({ services: app.services, databaseUrl: app.databaseUrl })).toMatch(
      /^Not valid any more if issued before \d{4}-.*: [1-9]\d* sessions .*, [1-9]\d* flow tokens, [1-9]\d* logins.*[1-9]\d* passwords need a code/,
    );
  });
  afterAll(() => app.close());

  test('no session, refresh token, flow token, code, step-up or reset link from before opens anything', async () => {
    expect(await used(app, w)).toEqual(DEAD);
    const byName = await verifyOtp(app, w.ada.phone, w.code);
    expect(byName).toMatchObject({ status: 400, body: { code: 'invalid_code' } });
    expect(
      await query(app, "select 1 from audit_events where type = 'backup.restored' and actor = 'system'"),
    ).toHaveLength(1);
  });

  test('a sign-up goes on with a code of its own, not with the one from before', async () => {
    later(app);
    const again = await startSignup(app, w.newcomer);
    const verified = await verifySignup(
      app,
      w.newcomer,
      await codeOf(app, w.newcomer),
      again.body.flow_token,
    );
    expect(verified).toMatchObject({ status: 200, body: { state: 'UNVERIFIED.preuser_created' } });
  });

  test('the first password login needs a code to the phone it names; the next one does not', async () => {
    later(app);
    const first = await byPassword(app, { phone: w.ada.phone });
    expect(first).toMatchObject({
      status: 200,
      body: { auth_status: 'STEP_UP_REQUIRED', factors: ['login_code'], requires_step_up: true },
    });
    expect(first.body.access_token).toBeUndefined();
    const code = await codeOf(app, w.ada.phone);
    expect(code).not.toBe(w.code);
    expect((await answer(app, first.body.flow_token, { code: wrongFor(code) })).status).toBe(401);
    // Known by its password, it needs the code as well: nothing else answers it.
    expect((await answer(app, first.body.flow_token, { pin: PIN })).status).toBe(401);
    const done = await answer(app, first.body.flow_token, { code: code });
    expect(done).toMatchObject({ status: 200, body: { auth_status: 'AUTHENTICATED' } });
    expect(claimsOf(done.body.access_token).amr).toEqual(['pwd', 'otp']);
    expect((await answer(app, first.body.flow_token, { code: code })).status).not.toBe(200);
    expect((await byPassword(app, { phone: w.ada.phone })).body.auth_status).toBe('AUTHENTICATED');
  });

  test('on a new device the PIN is needed too, in any order; by e-mail the code is mailed', async () => {
    later(app);
    const email = freshEmail();
    await giveEmail(app, w.pinned.userId, email);
    const first = await byPassword(app, { email }, 'device-new');
    expect(first.body.factors.sort()).toEqual(['login_code', 'pin']);
    const [mail] = await mailbox(app, email);
    expect(mail).toMatchObject({ to: email, code: expect.stringMatching(/^\d{6}$/) });
    const half = await answer(app, first.body.flow_token, { pin: PIN });
    expect(half).toMatchObject({
      status: 200,
      body: { auth_status: 'STEP_UP_REQUIRED', factors: ['login_code'] },
    });
    expect(await mailbox(app, email)).toHaveLength(1);
    const done = await answer(app, first.body.flow_token, { code: mail!.code! });
    expect(done.body).toMatchObject({ auth_status: 'AUTHENTICATED' });
  });

  test('guesses are counted for the contact over all logins, and codes are limited like any other', async () => {
    const person = await limited(app);
    later(app);
    await stamp({ services: app.services, databaseUrl: app.databaseUrl });
    for (let guesses = 0; guesses < 60; ) {
      const login = await byPassword(app, { phone: person.phone });
      if (login.status === 429) break;
      expect(login.body.factors).toEqual(['login_code']);
      expect((await byPassword(app, { phone: person.phone })).status).toBe(429);
      const wrong = wrongFor(await codeOf(app, person.phone));
      let last = 401;
      while (last === 401) {
        last = (await answer(app, login.body.flow_token, { code: wrong })).status;
        guesses += 1;
      }
      expect([403, 429]).toContain(last);
      expect(guesses).toBeLessThan(30);
      app.clock.advance(61_000);
    }
    const [counted] = await query<{ most: number }>(
      app,
      "select coalesce(max(count), 0)::int as most from throttles where key like 'code:%'",
    );
    expect(counted?.most).toBeGreaterThan(0);
    expect(counted?.most).toBeLessThanOrEqual(20);
  });

  test('a login by phone code is what it was, and a new password needs no code', async () => {
    const person = await limited(app);
    const email = freshEmail();
    await giveEmail(app, person.userId, email);
    later(app);
    await stamp({ services: app.services, databaseUrl: app.databaseUrl });
    const sent = await sendOtp(app, person.phone);
    const byCode = await verifyOtp(app, person.phone, await codeOf(app, person.phone), sent.body.flow_token, {
      device_id: 'device-of-sign-up',
    });
    expect(byCode.body).toMatchObject({ auth_status: 'AUTHENTICATED' });
    const changed = await app.call('POST', '/v1/users/change-password', {
      token: byCode.body.access_token,
      body: { current_password: PASSWORD, new_password: 'Another-Horse-99!' },
    });
    expect(changed.status).toBe(200);
    const login = await app.call('POST', '/v1/auth/login', {
      body: { email, password: 'Another-Horse-99!', device_fingerprint: 'device-of-sign-up' },
    });
    expect(login.body).toMatchObject({ auth_status: 'AUTHENTICATED' });
  });
});

test('the database is found by any URL that the service takes', async () => {
  const database = await createDatabase();
  const databaseUrl = `${database.url}?gssencmode=prefer&sslmode=disable`;
  const done = stamp({ services: { clock: { now: Date.now } as never }, databaseUrl });
  await expect(done).resolves.toContain(': 0 sessions');
  await database.drop();
});

test('the command takes no arguments', () => expect(command.run(['--force'])).rejects.toThrow());

/** Folders with pg_dump and pg_restore; a dump needs tools at least as new as its server. */
const TOOLS = [
  ...(existsSync('/usr/lib/postgresql')
    ? readdirSync('/usr/lib/postgresql').map((version) => `/usr/lib/postgresql/${version}/bin`)
    : []),
  ...(process.env.PATH ?? '').split(':'),
].filter((folder) => existsSync(join(folder, 'pg_dump')) && existsSync(join(folder, 'pg_restore')));

const majorOf = (folder: string): number =>
  Number(/ (\d+)/.exec(execFileSync(join(folder, 'pg_dump'), ['--version'], { encoding: 'utf8' }))?.[1]);

test('with pg_dump and pg_restore: what ended after the backup lives again, until the stamp', async (context) => {
  const admin = postgres(inject('adminUrl'), { max: 1 });
  const [server] = await admin`select current_setting('server_version_num')::int / 10000 as major`;
  await admin.end();
  const tools = TOOLS.find((folder) => majorOf(folder) >= Number(server?.major));
  if (!tools) return context.skip(`no pg_dump of version ${server?.major} or newer is installed`);
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-backup-'));
  const [original, copy] = [await createDatabase(), await createEmptyDatabase()];
  const live = await open(original.url);
  try {
    const w = await world(live);
    const dump = join(folder, 'backup.dump');
    execFileSync(join(tools, 'pg_dump'), ['--format=custom', `--file=${dump}`, original.url]);
    // Since the backup: all of it is used up or revoked.
    await used(live, w);
    await live.call('POST', '/v1/auth/logout', { token: w.session.access_token, body: {} });
    expect((await used(live, w)).access).toBe(401);
    const advanced = live.clock.now();
    const restore = () =>
      execFileSync(join(tools, 'pg_restore'), [
        '--no-owner',
        '--clean',
        '--if-exists',
        `--dbname=${copy.url}`,
        dump,
      ]);
    const reopened = async () => {
      const app = await open(copy.url, live.secrets);
      app.clock.advance(advanced - app.clock.now());
      return app;
    };
    restore();
    const careless = await reopened();
    expect(await used(careless, w)).toEqual(ALIVE);
    await careless.close();

    restore();
    const careful = await reopened();
    try {
      await stamp({ services: careful.services, databaseUrl: copy.url });
      expect(await used(careful, w)).toEqual(DEAD);
      // Counters in Redis know of the codes that the other services sent.
      careful.clock.advance(7_200_000);
      const login = await byPassword(careful, { phone: w.ada.phone });
      expect(login.body).toMatchObject({ auth_status: 'STEP_UP_REQUIRED', factors: ['login_code'] });
      const code = await codeOf(careful, w.ada.phone);
      const done = await answer(careful, login.body.flow_token, { code: code });
      expect(done.body).toMatchObject({ auth_status: 'AUTHENTICATED' });
    } finally {
      await careful.close();
    }
  } finally {
    await live.close();
    rmSync(folder, { recursive: true, force: true });
    await Promise.all([original.drop(), copy.drop()]);
  }
});
