/** The console's pages as a server sends them: escaping, filters, guards, redaction. No browser is needed. */
import { randomBytes } from 'node:crypto';
import postgres from 'postgres';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { registry } from '../../machines/index.ts';
import { asCurl } from '../../src/console/kit/curl.ts';
import { html } from '../../src/console/kit/html.ts';
import { differences, HIDDEN, redact } from '../../src/engine/visible-context.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { query } from '../support/people.ts';
import { PASSWORD, STREET, signUp } from './person.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());

const get = (url: string, headers: Record<string, string> = {}) => app.call('GET', url, { headers });
const PAGES = ['/console', '/console/flows', '/console/funnel', '/console/mail', '/console/inbox'];

test('values become text, whatever they hold', () => {
  const hostile = `"><script>alert('x')</script>&\u0000`;
  expect(html`<a title="${hostile}">${hostile}</a>`.text).toBe(
    '<a title="&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\ufffd">&quot;&gt;&lt;script&gt;alert(&#39;x&#39;)&lt;/script&gt;&amp;\ufffd</a>',
  );
  expect(html`${[html`<b>`, null, undefined, false, 0, '<']}`.text).toBe('<b>0&lt;');
});

test('redaction keeps ids, verdicts, counters and times, and hides everything it does not know', () => {
  expect(
    redact({
      accountId: '01a1fae7-ad96-76ff-88ab-da2d5a46cd6f',
      code: { counter: 2, expiresAt: 1_795_210_000_000 },
      risk: { decision: 'ALLOW', reasons: ['age_unknown'], at: 5 },
      entry: 'phone',
      reason: 'call +1 555 555 1234',
      status: '483920',
      phone: '+15555551234',
      secret: 'abc',
      capitals: [1, 4],
    }),
  ).toEqual({
    accountId: '01a1fae7-ad96-76ff-88ab-da2d5a46cd6f',
    code: { counter: 2, expiresAt: 1_795_210_000_000 },
    risk: { decision: 'ALLOW', reasons: ['age_unknown'], at: 5 },
    entry: 'phone',
    reason: HIDDEN,
    status: HIDDEN,
    phone: HIDDEN,
    secret: HIDDEN,
    capitals: HIDDEN,
  });
  expect(
    differences({ code: { counter: 1 }, pinSet: false }, { code: { counter: 2 }, pinSet: false }),
  ).toEqual([{ path: 'code.counter', before: 1, after: 2 }]);
});

describe('every page', () => {
  test('comes with a policy that lets nothing foreign in, is never stored, and weighs under 50 kB', async () => {
    const { flow } = await signUp(app, 'full');
    for (const url of [...PAGES, `/console/flows/${flow}`]) {
      const page = await get(url, { 'accept-encoding': 'gzip' });
      expect(page.status, url).toBe(200);
      const policy = String(page.headers['content-security-policy']);
      expect(policy).toContain("default-src 'none'");
      expect(policy).not.toContain('unsafe');
      expect(page.headers['cache-control']).toBe('no-store');
      expect(Number(page.headers['content-length']), url).toBeLessThan(50_000);
      const plain = (await get(url)).text;
      expect(plain).not.toMatch(/<script(?![^>]*\bsrc=)|\sstyle=|\son\w+=/);
      expect(plain).not.toMatch(/(?:src|href)="https?:/);
    }
  });

  test('answers only to names of its own, and only to itself', async () => {
    for (const url of [...PAGES, '/console/events', '/console/assets/live.js']) {
      expect((await get(url, { host: 'evil.example' })).status, url).toBe(421);
      expect((await get(url, { host: 'localhost.evil.example:8000' })).status, url).toBe(421);
      const embedded = {
        'sec-fetch-site': 'cross-site',
        'sec-fetch-mode': 'no-cors',
        'sec-fetch-dest': 'image',
      };
      expect((await get(url, embedded)).status, url).toBe(403);
    }
    const link = {
      'sec-fetch-site': 'cross-site',
      'sec-fetch-mode': 'navigate',
      'sec-fetch-dest': 'document',
    };
    expect((await get('/console', link)).status).toBe(200);
    expect((await get('/console', { host: '127.0.0.1:8000' })).status).toBe(200);
  });

  test('is no part of the described API', async () => {
    expect((await get('/openapi.json')).text).not.toContain('/console');
  });
});

describe('the list of flows', () => {
  const rowsOf = (text: string) => [...text.matchAll(/data-flow="([^"]+)"/g)].map((m) => m[1]);

  test('filters by machine, state, parent state, tier, age, id and stuck', async () => {
    const code = await signUp(app, 'code');
    const limited = await signUp(app, 'limited');
    const list = async (query: string) => rowsOf((await get(`/console/flows?${query}`)).text);
    expect(await list('')).toEqual(expect.arrayContaining([code.flow, limited.flow]));
    expect(await list('state=UNVERIFIED.code_sent')).toContain(code.flow);
    expect(await list('state=UNVERIFIED')).toContain(code.flow);
    expect(await list('state=UNVERIFIED')).not.toContain(limited.flow);
    expect(await list('machine=signup&tier=LIMITED')).toContain(limited.flow);
    expect(await list('machine=login')).not.toContain(limited.flow);
    expect(await list(`q=${code.flow}`)).toEqual([code.flow]);
    expect(await list(`q=${code.flow.slice(0, 13)}`)).toContain(code.flow);
    expect(await list('age=1h')).toEqual([]);
    expect(await list('stuck=1')).not.toContain(code.flow);
    app.clock.advance(2 * 3_600_000);
    expect(await list('age=1h')).toContain(code.flow);
    expect(await list('stuck=1')).toContain(code.flow);
    expect((await get('/console/flows?stuck=1')).text).toContain('over 10 min');
    expect(await list('stuck=1&state=LIMITED')).not.toContain(code.flow);
  });

  test('a dead message makes its flow stuck, and the strip shows it', async () => {
    const sql = postgres(app.databaseUrl, { max: 1 });
    const { flow } = await signUp(app, 'code');
    await sql`update outbox set status = 'dead' where flow_id = ${flow}`;
    expect(rowsOf((await get('/console/flows?stuck=1&machine=signup')).text)).toContain(flow);
    expect((await get(`/console/flows/${flow}`)).text).toContain('dead letter');
    expect((await get('/console')).text).toMatch(/Dead letters <b>[1-9]/);
    await sql.end();
  });

  test('pages by key without loss or repetition', async () => {
    const sql = postgres(app.databaseUrl, { max: 1 });
    await sql`insert into flows (id, machine, machine_version, version, state, status, snapshot, created_at, updated_at, state_entered_at)
      select gen_random_uuid(), 'challenge', 1, 1, 'expired', 'done', '{}', now(), now(),
        date_trunc('milliseconds', now()) - (i / 3) * interval '1 second' from generate_series(1, 120) i`;
    await sql.end();
    const seen: string[] = [];
    let url: string | undefined = '/console/flows?machine=challenge&state=expired';
    for (let page = 0; url && page < 5; page++) {
      const { text }: { text: string } = await get(url);
      seen.push(...(rowsOf(text) as string[]));
      url = /<a rel="next" href="([^"]+)"/.exec(text)?.[1]?.replaceAll('&amp;', '&');
    }
    expect(seen).toHaveLength(120);
    expect(new Set(seen).size).toBe(120);
  });

  test('hostile words in the address stay words', async () => {
    const hostile = encodeURIComponent('"><img src=x onerror=alert(1)>');
    for (const url of [
      `/console/flows?q=${hostile}&state=${hostile}&machine=${hostile}&before=${hostile}`,
      `/console/inbox?to=${hostile}`,
      `/console/funnel?machine=${hostile}&version=${hostile}&days=${hostile}`,
      `/console/flows/${hostile}`,
    ]) {
      const page = await get(url);
      expect(page.status, url).toBeLessThan(500);
      expect(page.text).not.toContain('<img');
    }
    expect((await get('/console/flows/01a1fae7-ad96-76ff-88ab-da2d5a46cd6f')).status).toBe(404);
  });
});

test('a flow page tells the way: events, guards, edges, who, what changed, what is next', async () => {
  const { flow } = await signUp(app, 'password');
  await app.call('POST', '/v1/kyc', { body: {} });
  const { text } = await get(`/console/flows/${flow}`);
  const [taken] = await query(app, 'select count(*)::int as n from flow_steps where flow_id = $1', [flow]);
  expect(text.match(/data-step=/g)).toHaveLength(taken?.n as number);
  expect(text).toContain('<b class="mono">CODE_CHECKED</b> <span class="guard mono">[codeAccepted]</span>');
  expect(text).toMatch(/class="state [^"]*is-current" data-state="UNVERIFIED.credentials_set"/);
  expect(text).toMatch(/class="state [^"]*is-visited" data-state="UNVERIFIED.code_sent"/);
  expect(text).toMatch(/class="edge is-last" data-edge="UNVERIFIED.preuser_created\|PASSWORD_SET\|0"/);
  expect(text).toContain('PROFILE_SUBMITTED');
  expect(text).toContain('curl -sS -X POST');
  expect(text).toContain('code.send');
});

test('a next request is shown with the credential it takes and the example of its body', () => {
  const { actions } = app.services;
  const shown = (href: string, schema: string | null, method = 'POST') => {
    const action = { event: 'E', method, href, schema };
    return asCurl(action, actions.example(action), 'http://h');
  };
  expect(shown('/v1/auth/signup/verify-otp', 'SignupVerifyOtp')).toBe(
    `curl -sS -X POST "http://h/v1/auth/signup/verify-otp" -H "Authorization: Bearer $FLOW_TOKEN" -H 'Content-Type: application/json' -d '${JSON.stringify(actions.example({ schema: 'SignupVerifyOtp' }))}'`,
  );
  for (const href of ['/v1/kyc', '/v1/users/me/contacts', '/v1/mfa/totp/enable', '/v1/trading-accounts/1'])
    expect(shown(href, null, 'DELETE')).toBe(
      `curl -sS -X DELETE "http://h${href}" -H "Authorization: Bearer $ACCESS_TOKEN"`,
    );
  const example = { name: "O'Brien" };
  expect(asCurl({ event: 'E', method: 'POST', href: '/v1/kyc', schema: 'X' }, example, '')).toMatch(
    /-d '\{"name":"O'\\''Brien"\}'$/,
  );
});

test('no code, address, name, password or phone of anybody on any page but the inbox', async () => {
  const agent = `Canary-Agent/${randomBytes(4).toString('hex')}`;
  const real = await createTestApp({ env: { DEMO_MODE: 'false' } });
  const headers = { 'user-agent': agent };
  const person = await signUp(real, 'full', { phone: '+14155552671', headers });
  const messages = await real.services.inbox!.list();
  const canaries = [
    ...[PASSWORD, STREET, 'Canarina', 'Featherstone', agent, person.phone, person.phone.slice(1)],
    ...[person.token, person.access, messages[0]?.code ?? 'no code'],
  ];
  expect(messages[0]?.code).toMatch(/^\d{6}$/);
  const pages = [...PAGES, `/console/flows/${person.flow}`, '/console/flows?stuck=1', '/console/counts.json'];
  for (const url of pages.filter((p) => p !== '/console/inbox')) {
    const { status, text } = await real.call('GET', url);
    expect(status).toBe(200);
    for (const canary of canaries) expect(text.includes(canary), `${canary} on ${url}`).toBe(false);
  }
  await real.close();
});

test('the inbox shows messages with their code and flow, filtered by recipient', async () => {
  const [one, two] = [await signUp(app, 'code'), await signUp(app, 'code')];
  await app.relay.drain();
  const { text } = await get(`/console/inbox?to=${encodeURIComponent(one.phone)}`);
  expect(text).toContain('<output>000000</output>');
  expect(text).toContain(`/console/flows/${one.flow}`);
  expect(text).not.toContain(two.phone);
  expect((await get(`/console/inbox?to=${two.phone}`)).text).toContain(two.phone);
});

test('HTML mail comes as a document of its own that may run nothing', async () => {
  await app.services.inbox!.add({
    id: 'mail<1>',
    channel: 'mail',
    to: 'a@b.test',
    text: '<b>x</b>',
    html: '<script>1</script>',
  });
  const { text } = await get('/console/inbox?to=a@b.test');
  expect(text).toContain('sandbox=""');
  expect(text).toContain('&lt;b&gt;x&lt;/b&gt;');
  const mail = await get(`/console/inbox/${encodeURIComponent('mail<1>')}/html`);
  expect(mail.headers['content-security-policy']).toMatch(/default-src 'none'.*sandbox;/);
});

describe('forms', () => {
  const post = (url: string, headers: Record<string, string>, payload: string) =>
    app.server.inject({
      method: 'POST',
      url,
      payload,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...headers },
    });
  const formToken = async () => /name="form" value="([^"]+)"/.exec((await get('/console')).text)?.[1] ?? '';

  test('a demo flow starts and walks to FULL, one click at a time', async () => {
    const form = `form=${await formToken()}`;
    const started = await post(
      '/console/demo',
      { origin: 'http://localhost:80', host: 'localhost:80' },
      form,
    );
    expect(started.statusCode).toBe(303);
    let url = String(started.headers.location);
    let clicks = 0;
    for (;;) {
      const event = /Next step: (\w+)/.exec((await get(url)).text)?.[1];
      if (event === undefined) break;
      expect(registry.signup.events).toHaveProperty(event);
      const next = await post(`${url.replace('/flows/', '/demo/')}/next`, {}, form);
      expect(next.statusCode, event).toBe(303);
      url = String(next.headers.location);
      clicks += 1;
      expect(clicks).toBeLessThan(20);
    }
    expect(clicks).toBeGreaterThan(2);
    await app.relay.drain();
    expect((await get(url)).text).toMatch(/is-current" data-state="FULL"/);
    // With an account there is a login to walk through.
    app.clock.advance(4000);
    for (let click = 0; click < 2; click++)
      url = String((await post(`${url.replace('/flows/', '/demo/')}/next`, {}, form)).headers.location);
    expect((await get(url)).text).toMatch(/is-current" data-state="L6_result.AUTHENTICATED"/);
  });

  test('without the page’s own token, from another origin or with another type nothing happens', async () => {
    const form = `form=${await formToken()}`;
    expect((await post('/console/demo', {}, '')).statusCode).toBe(403);
    expect((await post('/console/demo', {}, 'form=x')).statusCode).toBe(403);
    expect((await post('/console/demo', { origin: 'https://evil.example' }, form)).statusCode).toBe(403);
    expect((await post('/console/demo', { origin: 'null' }, form)).statusCode).toBe(403);
    expect((await post('/console/demo', { 'sec-fetch-site': 'same-site' }, form)).statusCode).toBe(403);
    expect((await post('/console/demo', { 'content-type': 'text/plain' }, form)).statusCode).toBe(415);
    // The API never learns to read forms.
    expect((await post('/v1/auth/signup/phone', {}, 'phone=1')).statusCode).toBe(415);
  });
});
