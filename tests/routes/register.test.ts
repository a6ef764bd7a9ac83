/** Sign-up by e-mail: constant answers, codes that prove one address once, and who may not take it over. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { emailPerson, freshEmail, MAIL_PASSWORD, mailbox, register } from '../support/mail.ts';
import { query } from '../support/people.ts';

const WIDE = {
  LIMIT_REGISTER: '1000/1m',
  LIMIT_REGISTER_NETWORK: '5000/1m',
  LIMIT_RECOVERY: '100/1m',
  LIMIT_RECOVERY_NETWORK: '1000/1m',
  LIMIT_CODE_CHECK_NETWORK: '1000/1m',
  LIMIT_SET_PASSWORD_NETWORK: '1000/1m',
  LIMIT_PASSWORD_LOGIN_NETWORK: '1000/1m',
  LIMIT_NETWORK: '10000/1m',
  LIMIT_MAIL: '1000/1m',
  LIMIT_CODE_CHECK_DAILY: '100/1m',
};

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: WIDE });
});
afterAll(() => app.close());

const verify = (body: Record<string, unknown>, token?: string) =>
  app.call('POST', '/v1/auth/verify-email', { body, token });

describe('register', () => {
  test('opens a sign-up that waits for the code, and mails it', async () => {
    const email = freshEmail();
    const answer = await register(app, email);
    expect(answer).toMatchObject({
      status: 201,
      body: {
        email,
        status: 'pending_verification',
        verification_email_sent: true,
        state: 'UNVERIFIED.code_sent',
        flow_token: expect.any(String),
      },
    });
    expect(answer.body.next.map((a: { href: string }) => a.href)).toEqual(
      expect.arrayContaining(['/v1/auth/resend-verification', '/v1/auth/verify-email']),
    );
    expect(JSON.stringify(answer.body.next)).not.toContain('/signup/phone');
    expect(await mailbox(app, email)).toMatchObject([
      { code: '000000', subject: '000000 is your Vestibule code' },
    ]);
  });

  test.each([
    ['timezone', 'Mars/Olympus'],
    ['locale', 'klingon'],
  ])('%s %s does not exist and is refused with its field', async (field, value) => {
    expect(await register(app, freshEmail(), { [field]: value })).toMatchObject({
      status: 400,
      body: { code: 'validation_failed', errors: [{ pointer: `/body/${field}` }] },
    });
  });

  test('the code makes a LIMITED account with tokens, and a welcome', async () => {
    const { email, userId, verified } = await emailPerson(app);
    expect(verified).toMatchObject({
      auth_status: 'AUTHENTICATED',
      account_tier: 'LIMITED',
      state: 'LIMITED.kyc_none',
      user_id: userId,
      verified: true,
    });
    const me = await app.call('GET', '/v1/users/me', { token: verified.access_token });
    expect(me.body).toMatchObject({ email, email_verified: true, phone: null, name: 'Ada Byron' });
    expect((await mailbox(app, email)).map((m) => m.subject).sort()).toEqual([
      '000000 is your Vestibule code',
      'Welcome to Vestibule',
    ]);
  });

  test('a taken address gets the same answer, and its owner a notice instead of a code', async () => {
    const { email } = await emailPerson(app);
    const [taken, free] = [await register(app, email), await register(app, freshEmail())];
    expect(taken.status).toBe(free.status);
    expect(Object.keys(taken.body)).toEqual(Object.keys(free.body));
    expect(taken.body.next).toEqual(free.body.next);
    expect(taken.body.state).toBe(free.body.state);
    expect(Object.keys(taken.headers).sort()).toEqual(Object.keys(free.headers).sort());
    const [notice] = await mailbox(app, email);
    expect(notice).toMatchObject({ subject: 'You already have a Vestibule account' });
    expect(notice?.code).toBeUndefined();
    expect(notice?.text).not.toContain('Ada');
  });

  test('an unverified address belongs to nobody: the first to enter the code has it', async () => {
    const email = freshEmail();
    const [first, second] = [await register(app, email), await register(app, email)];
    expect(second.body.user_id).not.toBe(first.body.user_id);
    const won = await verify({ user_id: second.body.user_id, code: '000000' });
    expect(won.body).toMatchObject({ state: 'LIMITED.kyc_none', user_id: second.body.user_id });
    const late = await verify({ user_id: first.body.user_id, code: '000000' });
    expect(late.body).toMatchObject({ state: 'registered', next: [{ href: '/v1/auth/login' }] });
    expect(late.body.access_token).toBeUndefined();
    expect(late.body.flow_token).toBeUndefined();
    const owners = await query(app, 'select account_id from contacts where canonical = $1', [email]);
    expect(owners).toEqual([{ account_id: second.body.user_id }]);
  });

  test('the address alone confirms nothing while two people have registered it', async () => {
    const email = freshEmail();
    await register(app, email);
    await register(app, email);
    expect(await verify({ email, code: '000000' })).toMatchObject({
      status: 400,
      body: { code: 'invalid_code' },
    });
    const alone = freshEmail();
    await register(app, alone);
    expect(await verify({ email: alone.toUpperCase(), code: '000000' })).toMatchObject({ status: 202 });
  });

  test.each([
    ['the address', { password: 'Person-person9@example.com-A1' }, 'Person-person9@example.com'],
    ['the name', { password: 'xX-Byron-1815!' }, undefined],
    ['the phone', { password: 'Secret-5550142-x', phone: '+1 212 555 0142' }, undefined],
  ])('refuses a password that holds %s', async (_what, more, email) => {
    const answer = await register(app, email ?? freshEmail(), more);
    expect(answer).toMatchObject({ status: 422, body: { code: 'weak_password' } });
  });

  test('a phone is checked but never claimed', async () => {
    const email = freshEmail();
    expect(await register(app, email, { phone: 'not a phone' })).toMatchObject({ status: 400 });
    expect(await register(app, email, { phone: '+12125550143' })).toMatchObject({ status: 201 });
    expect(await query(app, "select 1 from contacts where canonical = '+12125550143'")).toEqual([]);
  });

  test.each([
    ['an array', ['a@example.com', 'b@example.com']],
    ['a list', 'a@example.com,b@example.com'],
    ['a full-width at sign', 'a\uff20example.com'],
    ['a quoted local part', '"a@example.org"@example.com'],
    ['a comment', 'a(b)@example.com'],
    ['two at signs', 'a@b@example.com'],
    ['a line break', 'a@example.com\r\nBcc: b@example.com'],
    ['a null byte', 'a\u0000@example.com'],
    ['an object', { $ne: '' }],
    ['an address literal', 'a@[127.0.0.1]'],
  ])('refuses %s as an address', async (_what, email) => {
    const answer = await register(app, email as string);
    expect(answer.status).toBe(400);
    expect(answer.text).not.toContain('example.org');
  });

  test('spellings of one address are one address, and look-alikes are others', async () => {
    const { email, userId } = await emailPerson(app, 'jose@xn--mnchen-3ya.example');
    for (const twin of ['JOSE@MÜNCHEN.example', 'Jose@münchen.EXAMPLE', 'jose@xn--MNCHEN-3ya.example']) {
      const login = await app.call('POST', '/v1/auth/login', {
        body: { email: twin, password: MAIL_PASSWORD },
      });
      expect(login.body.user_id).toBe(userId);
    }
    await register(app, 'jose@munchen.example');
    const rows = await query(app, 'select count(*)::int as n from contacts where canonical = $1', [email]);
    expect(rows).toEqual([{ n: 1 }]);
  });

  test('nothing typed or secret is in a snapshot, a step, the outbox or the audit', async () => {
    const email = freshEmail();
    await register(app, email, { name: 'Canary Nightingale' });
    const [{ all }] = (await query<{ all: string }>(
      app,
      `select (select jsonb_agg(snapshot) from flows)::text || (select jsonb_agg(to_jsonb(s)) from flow_steps s)::text
        || (select jsonb_agg(to_jsonb(o)) from outbox o)::text || (select jsonb_agg(to_jsonb(a)) from audit_events a)::text as all`,
    )) as [{ all: string }];
    for (const secret of [email, 'Nightingale', MAIL_PASSWORD, 'argon2']) expect(all).not.toContain(secret);
  });
});

describe('verify-email', () => {
  test('wrong, used and unknown look alike, and the sixth try without the token is refused', async () => {
    const registered = await register(app, freshEmail());
    const user_id = registered.body.user_id;
    const wrong = await verify({ user_id, code: '111111' });
    const unknown = await verify({ user_id: '0190f3c4-0000-7000-8000-00000000ffff', code: '111111' });
    const stranger = await verify({ email: freshEmail(), code: '111111' });
    for (const answer of [wrong, unknown, stranger]) {
      expect(answer).toMatchObject({ status: 400, body: { code: 'invalid_code', valid: false } });
      expect(Object.keys(answer.body)).toEqual(Object.keys(wrong.body));
    }
    for (let i = 0; i < 5; i++) await verify({ user_id, code: '111111' });
    expect((await verify({ user_id, code: '000000' })).status).toBe(429);
    // Whoever holds the token is not locked out by that.
    const held = await verify({ code: '000000', flow_token: registered.body.flow_token });
    expect(held).toMatchObject({ status: 200, body: { state: 'LIMITED.kyc_none' } });
    app.clock.advance(60_001);
    expect(await verify({ user_id, code: '000000' })).toMatchObject({ status: 400 });
  });

  test('a code expires', async () => {
    const registered = await register(app, freshEmail());
    app.clock.advance(app.services.config.code.emailTtlS * 1000 + 1);
    expect(await verify({ user_id: registered.body.user_id, code: '000000' })).toMatchObject({ status: 400 });
  });

  test('a phone sign-up cannot be finished here', async () => {
    const started = await app.call('POST', '/v1/auth/signup/phone', { body: { phone: '+15555557001' } });
    const answer = await verify({ code: '000000', flow_token: started.body.flow_token });
    expect(answer).toMatchObject({ status: 401, body: { code: 'invalid_flow_token' } });
  });

  test('the profile is asked for before KYC, and may come later', async () => {
    const { verified } = await emailPerson(app);
    const kyc = { document_type: 'PAN', document_number: 'ABCDE1234F' };
    const early = await app.call('POST', '/v1/kyc', { token: verified.access_token, body: kyc });
    expect(early).toMatchObject({ status: 409 });
    const profile = { first_name: 'Ada', last_name: 'Byron', date_of_birth: '1990-12-10' };
    const completed = await app.call('POST', '/v1/auth/signup/profile', {
      token: verified.flow_token,
      body: profile,
    });
    expect(completed).toMatchObject({ status: 200, body: { state: 'LIMITED.kyc_none' } });
    expect(await app.call('POST', '/v1/kyc', { token: verified.access_token, body: kyc })).toMatchObject({
      status: 202,
    });
  });

  test('the refresh token goes into a cookie when asked to', async () => {
    const registered = await register(app, freshEmail());
    const answer = await verify({
      user_id: registered.body.user_id,
      code: '000000',
      token_transport: 'cookie',
    });
    expect(answer.body.refresh_token).toBeNull();
    expect(String(answer.headers['set-cookie'])).toContain('HttpOnly');
  });
});

describe('verification by the address alone', () => {
  const FOREIGN = 'Somebody-Elses-1';
  const MINE = 'Correct-Horse-9-Battery';
  const logIn = (email: string, password: string) =>
    app.call('POST', '/v1/auth/login', { body: { email, password } });
  const setPassword = (token: string | undefined, password: string) =>
    app.call('POST', '/v1/auth/signup/set-password', { token, body: { password } });

  test('a password that another person registered opens nothing; the person of the mailbox sets their own', async () => {
    const email = freshEmail();
    const foreign = await register(app, email, { password: FOREIGN, name: 'Mallory Foreign' });
    const proven = await verify({ email, code: '000000' });
    expect(proven).toMatchObject({
      status: 202,
      body: { verified: true, state: 'UNVERIFIED.preuser_created', flow_token: expect.any(String) },
    });
    expect(proven.body.access_token).toBeUndefined();
    expect(proven.body.next).toContainEqual(
      expect.objectContaining({ event: 'PASSWORD_SET', href: '/v1/auth/signup/set-password' }),
    );
    expect(await logIn(email, FOREIGN)).toMatchObject({ status: 401, body: { code: 'invalid_credentials' } });
    // Who registered has no way to go on: neither the token nor the code is worth anything any more.
    const old = foreign.body.flow_token;
    expect(await setPassword(old, FOREIGN)).toMatchObject({ status: 401 });
    for (const who of [{ flow_token: old }, { user_id: foreign.body.user_id }, { email }])
      expect((await verify({ ...who, code: '000000' })).status).toBeGreaterThanOrEqual(400);

    const token = proven.body.flow_token;
    expect(await setPassword(token, MINE)).toMatchObject({
      status: 200,
      body: { state: 'UNVERIFIED.credentials_set' },
    });
    const done = await app.call('POST', '/v1/auth/signup/profile', {
      token,
      body: { first_name: 'Ada', last_name: 'Byron', date_of_birth: '1990-12-10', token_transport: 'body' },
    });
    expect(done).toMatchObject({ status: 200, body: { state: 'LIMITED.kyc_none' } });
    const me = await app.call('GET', '/v1/users/me', { token: done.body.access_token });
    expect(me).toMatchObject({ status: 200, body: { email } });
    expect(me.text).not.toContain('Mallory');
    expect((await logIn(email, FOREIGN)).status).toBe(401);
    expect(await logIn(email, MINE)).toMatchObject({ status: 200, body: { user_id: done.body.user_id } });
    const [row] = await query(
      app,
      "select count(*)::int as n from audit_events where flow_id = $1 and type = 'registration.discarded'",
      [proven.body.flow_id],
    );
    expect(row).toEqual({ n: 1 });
  });

  test('50 at once, with the token and by the address: the password counts only if its holder was first', async () => {
    const email = freshEmail();
    const { body } = await register(app, email, { password: FOREIGN });
    const answers = await Promise.all(
      Array.from({ length: 50 }, (_, i) =>
        verify(i % 2 ? { email, code: '000000' } : { flow_token: body.flow_token, code: '000000' }),
      ),
    );
    const won = answers.filter(({ status }) => status < 300);
    expect(won).toHaveLength(1);
    const holder = won[0]?.body.state === 'LIMITED.kyc_none';
    expect((await logIn(email, FOREIGN)).status).toBe(holder ? 200 : 401);
  });

  test('a user name that was registered for the address is free again', async () => {
    const [email, other] = [freshEmail(), freshEmail()];
    const username = `alone${process.pid}`;
    const hub = (address: string) =>
      app.call('POST', '/balance_hub/auth/register', {
        body: { username, email: address, password: FOREIGN, full_name: 'Mallory' },
      });
    expect((await hub(email)).status).toBe(201);
    expect((await hub(other)).status).toBe(409);
    expect((await verify({ email, code: '000000' })).status).toBe(202);
    expect((await hub(other)).status).toBe(201);
  });

  test('naming the account or holding the token is no foreign verification: the registered password stays', async () => {
    for (const way of ['user_id', 'flow_token']) {
      const email = freshEmail();
      const { body } = await register(app, email);
      const verified = await verify({ [way]: body[way], email, code: '000000' });
      expect(verified).toMatchObject({ status: 200, body: { state: 'LIMITED.kyc_none' } });
      expect((await logIn(email, MAIL_PASSWORD)).status).toBe(200);
    }
  });
});

describe('an address is written to as its owner spells it, whoever named it first', () => {
  const sentTo = async (address: string) => {
    await app.relay.drain();
    const mails = (await app.services.inbox?.list({ channel: 'mail', limit: 100 })) ?? [];
    return mails.filter((m) => m.to.toLowerCase() === address.toLowerCase()).map((m) => m.to);
  };

  test('the code of a registration, and everything after it', async () => {
    const email = freshEmail();
    const theirs = email.replace('person', 'Person');
    await register(app, theirs);
    expect(await sentTo(email)).toEqual([theirs]);
    const { body } = await register(app, email);
    expect(await sentTo(email)).toEqual([email, theirs]);
    // A code that was asked for in another spelling meanwhile changes nothing either.
    await app.call('POST', '/api/v1/auth/send-code', { body: { email: email.toUpperCase() } });
    await verify({ code: '000000', flow_token: body.flow_token });
    await app.call('POST', '/v1/auth/password/reset-request', { body: { email: theirs } });
    expect((await sentTo(email)).slice(0, 3).sort()).toEqual(
      [email.toUpperCase().replace('EXAMPLE.COM', 'example.com'), email, email].sort(),
    );
    const rows = await query(app, 'select value, canonical from contacts where canonical = $1', [email]);
    expect(rows).toEqual([{ value: email, canonical: email }]);
  });

  test('capitals that were proven are kept', async () => {
    const email = freshEmail();
    await register(app, email);
    const mine = email.replace('person', 'PerSon');
    const { body } = await register(app, mine);
    const verified = await verify({ code: '000000', flow_token: body.flow_token });
    const me = await app.call('GET', '/v1/users/me', { token: verified.body.access_token });
    expect(me.body.email).toBe(mine);
  });

  test('also one that is added to an account', async () => {
    const { verified } = await emailPerson(app);
    const email = freshEmail();
    await register(app, email.toUpperCase());
    const token = verified.access_token;
    const added = await app.call('POST', '/v1/users/me/contacts', {
      token,
      body: { type: 'email', value: email, current_password: MAIL_PASSWORD },
    });
    expect(await sentTo(email)).toContain(email);
    const listed = await app.call('POST', '/v1/users/me/contacts/verify', {
      token,
      body: { flow_token: added.body.flow_token, code: '000000' },
    });
    expect(listed.body.contacts.map((c: { value: string }) => c.value)).toContain(email);
  });
});

describe('a sign-up in review', () => {
  /** Six wrong codes over two codes are one too many for the local rules. */
  async function inReview(email: string) {
    const { body } = await register(app, email);
    const guess = (code: string) => verify({ code, flow_token: body.flow_token });
    for (let i = 0; i < 4; i++) await guess('111111');
    await app.call('POST', '/v1/auth/resend-verification', { body: { email } });
    await app.relay.drain();
    for (let i = 0; i < 2; i++) await guess('111111');
    const held = await guess('000000');
    expect(held.body).toMatchObject({ state: 'UNVERIFIED.risk_review' });
    return { userId: body.user_id as string, flowId: held.body.flow_id as string };
  }

  test('is resumed by proving the address again once its token has expired, and keeps its password', async () => {
    const email = freshEmail();
    const { flowId, userId } = await inReview(email);
    app.clock.advance(app.services.config.flow.tokenTtlS * 1000 + 1);
    const again = await register(app, email, { password: 'Somebody-Elses-1' });
    const [mail] = await mailbox(app, email);
    expect(mail).toMatchObject({ code: '000000', subject: '000000 is your Vestibule code' });
    const resumed = await verify({ code: '000000', flow_token: again.body.flow_token });
    expect(resumed.body).toMatchObject({ flow_id: flowId, state: 'UNVERIFIED.risk_review' });
    const token = resumed.body.flow_token;
    await app.call('POST', `/v1/admin/reviews/${flowId}`, {
      body: { decision: 'APPROVE', reason: 'looked at it' },
      token: app.secrets.adminToken,
    });
    expect((await app.call('GET', '/v1/auth/signup', { token })).body).toMatchObject({
      state: 'LIMITED.kyc_none',
    });
    const login = (password: string) => app.call('POST', '/v1/auth/login', { body: { email, password } });
    expect(await login(MAIL_PASSWORD)).toMatchObject({ status: 200, body: { user_id: userId } });
    expect((await login('Somebody-Elses-1')).status).toBe(401);
  });

  test('is what a login points to, by the way it came in', async () => {
    const email = freshEmail();
    const { flowId } = await inReview(email);
    const login = await app.call('POST', '/v1/auth/login', { body: { email, password: MAIL_PASSWORD } });
    expect(login.body).toMatchObject({
      auth_status: 'ONBOARDING_REQUIRED',
      onboarding: { flow_id: flowId, method: 'POST', href: '/v1/auth/register' },
      next: [{ event: 'REGISTERED', href: '/v1/auth/register', schema: 'Register' }],
    });
    expect(login.body.access_token).toBeUndefined();
  });

  test('refused for good, leaves a notice to whoever registers anew', async () => {
    const email = freshEmail();
    const { flowId } = await inReview(email);
    await app.call('POST', `/v1/admin/reviews/${flowId}`, {
      body: { decision: 'REJECT', reason: 'looked at it' },
      token: app.secrets.adminToken,
    });
    await register(app, email);
    expect((await mailbox(app, email))[0]).toMatchObject({ subject: 'You already have a Vestibule account' });
  });
});

describe('resend-verification', () => {
  const resend = (body: object) => app.call('POST', '/v1/auth/resend-verification', { body });

  test('answers the same whether or not anybody waits for a code', async () => {
    const { email } = await emailPerson(app);
    const waiting = await register(app, freshEmail());
    const answers = [
      await resend({ email: freshEmail() }),
      await resend({ email }),
      await resend({ user_id: waiting.body.user_id }),
      await resend({ user_id: '0190f3c4-0000-7000-8000-00000000fffe' }),
    ];
    for (const answer of answers) {
      expect(answer.status).toBe(202);
      expect(answer.text).toBe(answers[0]?.text);
      expect(Object.keys(answer.headers)).toEqual(Object.keys(answers[0]?.headers ?? {}));
    }
    expect(await mailbox(app, waiting.body.email)).toHaveLength(2);
    expect((await mailbox(app, email)).map((m) => m.subject).sort()).toEqual([
      '000000 is your Vestibule code',
      'Welcome to Vestibule',
    ]);
  });

  test('has one budget of five an hour for one person, by address and by user_id together', async () => {
    const strict = await createTestApp({
      env: { ...WIDE, LIMIT_RECOVERY: '5/1h', LIMIT_RECOVERY_NETWORK: '1000/1h' },
    });
    const ask = async (body: object) =>
      (await strict.call('POST', '/v1/auth/resend-verification', { body })).status;
    const email = freshEmail();
    const { user_id } = (await register(strict, email)).body;
    const asked = [];
    for (let i = 0; i < 3; i++) asked.push(await ask({ email }), await ask({ user_id }));
    expect(asked).toEqual([202, 202, 202, 202, 202, 429]);
    expect(await ask({ email })).toBe(429);
    expect((await mailbox(strict, email)).length).toBeLessThanOrEqual(6);
    await strict.close();
  });

  test('by the id of an account that waits for no code says nothing about its address', async () => {
    const strict = await createTestApp({
      env: { ...WIDE, LIMIT_RECOVERY: '5/1h', LIMIT_RECOVERY_NETWORK: '1000/1h' },
    });
    const { email, userId: user_id } = await emailPerson(strict);
    const ask = async (body: object) =>
      (await strict.call('POST', '/v1/auth/resend-verification', { body })).status;
    for (let i = 0; i < 5; i++) expect(await ask({ user_id })).toBe(202);
    expect(await ask({ user_id })).toBe(429);
    expect(await ask({ email })).toBe(202);
    await strict.close();
  });

  test.each([{}, { email: 'a@example.com', user_id: '0190f3c4-0000-7000-8000-00000000fffe' }])(
    'needs exactly one of the two: %j',
    async (body) => {
      expect((await resend(body)).status).toBe(400);
    },
  );
});
