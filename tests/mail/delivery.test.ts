/** Mail from a request to a mailbox: over SMTP, through SendGrid, past a provider that is down, within one budget. */
import { afterEach, expect, test } from 'vitest';
import { Problem } from '../../src/kernel/problems.ts';
import { answer, recordingServer } from '../ports/recording-server.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { emailPerson, freshEmail, mailbox, register } from '../support/mail.ts';
import { limitedPerson, PASSWORD, query } from '../support/people.ts';
import { type SmtpReplies, smtpCatcher } from '../support/smtp-catcher.ts';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

async function appWith(env: Record<string, string>): Promise<TestApp> {
  const app = await createTestApp({ env: { ...LIMITS_OFF, ...env } });
  cleanup.push(() => app.close());
  return app;
}

async function overSmtp(replies: SmtpReplies = {}, env: Record<string, string> = {}) {
  const catcher = await smtpCatcher(replies);
  cleanup.push(() => catcher.close());
  const app = await appWith({
    DEMO_MODE: 'false',
    MAIL_ADAPTER: 'smtp',
    SMTP_HOST: '127.0.0.1',
    SMTP_PORT: String(catcher.port),
    SMTP_TLS: 'false',
    EMAILS_FROM_EMAIL: 'no-reply@vestibule.example',
    FRONTEND_URL: 'https://app.vestibule.example',
    ...env,
  });
  return { app, catcher };
}

const outbox = (app: TestApp) =>
  query<{ status: string; attempts: number; last_error: string | null }>(
    app,
    "select status, attempts, last_error from outbox where topic in ('code.send', 'mail.send') order by created_at",
  );

test('a code received over SMTP proves the address, and the welcome links to the front end', async () => {
  const { app, catcher } = await overSmtp();
  const email = freshEmail();
  const registered = await register(app, email.replace('person', 'Person'));
  await app.relay.drain();
  expect(catcher.mails).toHaveLength(1);
  expect(catcher.mails[0]).toMatchObject({
    from: 'no-reply@vestibule.example',
    to: [email.replace('person', 'Person')],
  });
  const code = /Subject: (\d{6}) is your Vestibule code/.exec(catcher.mails[0]?.data ?? '')?.[1];
  const verified = await app.call('POST', '/v1/auth/verify-email', {
    body: { user_id: registered.body.user_id, code },
  });
  expect(verified).toMatchObject({ status: 200, body: { auth_status: 'AUTHENTICATED' } });
  await app.relay.drain();
  expect(catcher.mails[1]?.data).toContain('Welcome to Vestibule');
  expect(catcher.mails[1]?.data).toContain('https://app.vestibule.example');
});

test('another code kills the first one', async () => {
  const { app, catcher } = await overSmtp();
  const email = freshEmail();
  const registered = await register(app, email);
  await app.relay.drain();
  await app.call('POST', '/v1/auth/resend-verification', { body: { email } });
  await app.relay.drain();
  const [first, second] = catcher.mails.map((m) => /Subject: (\d{6})/.exec(m.data)?.[1]);
  const verify = (code: string | undefined) =>
    app.call('POST', '/v1/auth/verify-email', { body: { user_id: registered.body.user_id, code } });
  // One time in a million both are alike.
  expect((await verify(first)).status).toBe(first === second ? 200 : 400);
  if (first !== second) expect((await verify(second)).status).toBe(200);
});

test('the reset link in the mail sets a new password', async () => {
  const { app, catcher } = await overSmtp();
  const email = freshEmail();
  const registered = await register(app, email);
  await app.relay.drain();
  const code = /Subject: (\d{6})/.exec(catcher.mails[0]?.data ?? '')?.[1];
  await app.call('POST', '/v1/auth/verify-email', { body: { user_id: registered.body.user_id, code } });
  await app.call('POST', '/v1/auth/password/reset-request', { body: { email } });
  await app.relay.drain();
  const mail = catcher.mails.find((m) => m.data.includes('Set a new password'));
  const text = (mail?.data ?? '').replaceAll('=\r\n', '').replaceAll('=3D', '=');
  const link = /https:\/\/app\.vestibule\.example\/reset-password\?code=([\w.-]{66})/.exec(text);
  const reset = await app.call('POST', '/v1/auth/password/reset', {
    body: { token: link?.[1], new_password: 'Another-Horse-78' },
  });
  expect(reset.status).toBe(200);
  const login = await app.call('POST', '/v1/auth/login', { body: { email, password: 'Another-Horse-78' } });
  expect(login.body.auth_status).toBe('AUTHENTICATED');
});

test('SendGrid gets the documented request, with the outbox id and without tracking', async () => {
  const provider = await recordingServer(answer(202));
  cleanup.push(() => provider.close());
  const app = await appWith({
    DEMO_MODE: 'false',
    MAIL_ADAPTER: 'sendgrid',
    SENDGRID_API_KEY: 'SG.key',
    SENDGRID_BASE_URL: provider.url,
    EMAILS_FROM_EMAIL: 'no-reply@vestibule.example',
  });
  const email = freshEmail();
  await register(app, email);
  await app.relay.drain();
  expect(provider.requests).toHaveLength(1);
  expect(provider.requests[0]).toMatchObject({
    method: 'POST',
    path: '/v3/mail/send',
    headers: { authorization: 'Bearer SG.key', 'content-type': 'application/json' },
  });
  expect(JSON.parse(provider.requests[0]?.body ?? '{}')).toMatchObject({
    personalizations: [{ to: [{ email }] }],
    from: { email: 'no-reply@vestibule.example', name: 'Vestibule' },
    content: [{ type: 'text/plain' }, { type: 'text/html' }],
    tracking_settings: { click_tracking: { enable: false }, open_tracking: { enable: false } },
  });
});

test('a provider that is down costs nobody the registration: accepted, visible, sent once it is back', async () => {
  const replies: SmtpReplies = { GREETING: '421 4.3.2 too busy' };
  const { app, catcher } = await overSmtp(replies);
  expect((await register(app, freshEmail())).status).toBe(201);
  await app.relay.drain();
  expect(await outbox(app)).toMatchObject([
    { status: 'pending', attempts: 1, last_error: expect.stringContaining('mail relay failed') },
  ]);
  delete replies.GREETING;
  app.clock.advance(2_000);
  await app.relay.drain();
  expect(await outbox(app)).toMatchObject([{ status: 'done', attempts: 2 }]);
  expect(catcher.mails).toHaveLength(1);
});

test('a code that has expired by the time the provider is back is not sent any more', async () => {
  const replies: SmtpReplies = { GREETING: '421 4.3.2 too busy' };
  const { app, catcher } = await overSmtp(replies);
  await register(app, freshEmail());
  await app.relay.drain();
  delete replies.GREETING;
  app.clock.advance(app.services.config.code.emailTtlS * 1000 + 1);
  await app.relay.drain();
  expect(await outbox(app)).toMatchObject([{ status: 'dead', last_error: 'the code has expired' }]);
  expect(catcher.mails).toEqual([]);
});

test('an address the provider refuses is given up at once', async () => {
  const { app } = await overSmtp({ RCPT: '550 5.1.1 no such user' });
  await register(app, freshEmail());
  await app.relay.drain();
  expect(await outbox(app)).toMatchObject([{ status: 'dead', attempts: 1 }]);
});

test('one mailbox gets ten mails an hour of all kinds together, and every answer stays the same', async () => {
  const app = await appWith({ LIMIT_MAIL: '10/1h' });
  const { email } = await emailPerson(app);
  const bombs = [];
  for (let i = 0; i < 6; i++) {
    bombs.push((await register(app, email)).status);
    await app.call('POST', '/v1/auth/password/reset-request', { body: { email } });
    // A newer link replaces the one before, so each is sent before the next is asked for.
    await app.relay.drain();
  }
  expect(bombs).toEqual(Array(6).fill(201));
  expect(await mailbox(app, email)).toHaveLength(10);
});

test('a mail held up by an outage of the counters is counted all the same, and its retries only once', async () => {
  const app = await appWith({ LIMIT_MAIL: '3/1h' });
  const email = freshEmail();
  const { mail } = app.services.limits;
  app.services.limits.mail = () => Promise.reject(new Problem('dependency_unavailable'));
  for (let i = 0; i < 5; i++) await register(app, email);
  await app.relay.drain();
  expect(await mailbox(app, email)).toHaveLength(0);
  app.services.limits.mail = mail;
  app.clock.advance(5_000);
  expect(await mailbox(app, email)).toHaveLength(3);
});

test('a mail that a provider refuses for now takes one place of the budget, not one per try', async () => {
  const replies: SmtpReplies = { GREETING: '421 4.3.2 too busy' };
  const { app, catcher } = await overSmtp(replies, { LIMIT_MAIL: '3/1h' });
  const email = freshEmail();
  await register(app, email);
  for (let i = 0; i < 4; i++) {
    await app.relay.drain();
    app.clock.advance(60_000);
  }
  delete replies.GREETING;
  await app.relay.drain();
  for (let i = 0; i < 4; i++) await register(app, email);
  await app.relay.drain();
  expect(catcher.mails).toHaveLength(3);
});

test.each([
  ['300', '10', 'verification', '10 minutes'],
  ['300', '10', 'contact', '5 minutes'],
  ['300', '10', 'proof', '5 minutes'],
  ['90', '10', 'proof', '90 seconds'],
])(
  'with codes of %s s and mail codes of %s min, a %s mail states %s, as long as its code lives',
  async (ttl, mail, kind, stated) => {
    const app = await appWith({ CODE_TTL_SECONDS: ttl, EMAIL_VERIFICATION_CODE_EXPIRY_MINUTES: mail });
    const email = freshEmail();
    const checks: Record<string, () => Promise<() => Promise<{ status: number }>>> = {
      verification: async () => {
        const { user_id } = (await register(app, email)).body;
        return () => app.call('POST', '/v1/auth/verify-email', { body: { user_id, code: '000000' } });
      },
      contact: async () => {
        const { accessToken: token } = await limitedPerson(app);
        const { flow_token } = (
          await app.call('POST', '/v1/users/me/contacts', {
            token,
            body: { type: 'email', value: email, current_password: PASSWORD },
          })
        ).body;
        const body = { flow_token, code: '000000' };
        return () => app.call('POST', '/v1/users/me/contacts/verify', { token, body });
      },
      proof: async () => {
        await app.call('POST', '/api/v1/auth/send-code', { body: { email } });
        return () => app.call('POST', '/api/v1/auth/verify-code', { body: { email, code: '000000' } });
      },
    };
    const ask = checks[kind]!;
    const [count, unit] = stated.split(' ');
    const ms = Number(count) * (unit === 'minutes' ? 60_000 : 1000);

    const inTime = await ask();
    expect((await mailbox(app, email))[0]?.text).toContain(`valid for ${stated}.`);
    app.clock.advance(ms - 5_000);
    if (kind !== 'verification') expect((await inTime()).status).toBe(200);
    const late = await ask();
    app.clock.advance(ms + 1_000);
    expect((await late()).status).toBeGreaterThanOrEqual(400);
  },
);

test('outbox rows of mails hold ids only', async () => {
  const app = await appWith({});
  const { email } = await emailPerson(app);
  const rows = await query<{ payload: string }>(
    app,
    "select payload::text from outbox where topic in ('code.send', 'mail.send', 'verification.resend')",
  );
  expect(rows.length).toBeGreaterThan(1);
  for (const { payload } of rows) {
    expect(payload).not.toContain(email);
    expect(payload).not.toContain('Ada');
    expect(payload).not.toContain('000000');
  }
});
