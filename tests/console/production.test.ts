/** In production the console and everything of the demo is absent, or stands behind the admin token without its tools. */
import { randomBytes } from 'node:crypto';
import { type IncomingMessage, request } from 'node:http';
import { afterAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { redisUrl } from '../support/database.ts';
import { onDatabase } from '../support/signed-in.ts';

const hex = (bytes = 32) => randomBytes(bytes).toString('hex');
const ADMIN = hex();
const PRODUCTION = {
  NODE_ENV: 'production',
  DEMO_MODE: 'false',
  PUBLIC_URL: 'https://id.bank.test',
  DATABASE_URL: `postgresql://vestibule:${hex(12)}@db:5432/vestibule`,
  // Nothing listens there when no Redis is given: the service runs degraded.
  REDIS_URL: redisUrl() ?? 'redis://127.0.0.1:9/0',
  MASTER_KEY: hex(),
  PASSWORD_PEPPER: hex(),
  SECRET_KEY: hex(),
  SMS_ADAPTER: 'twilio',
  TWILIO_ACCOUNT_SID: 'AC1',
  TWILIO_AUTH_TOKEN: hex(16),
  TWILIO_FROM: '+15005550006',
  SMTP_HOST: 'mail.bank.test',
  KYC_ADAPTER: 'http',
  KYC_URL: 'https://kyc.bank.test',
  KYC_SECRET: hex(),
  KYC_WEBHOOK_SECRET: hex(),
  HASH_MEMORY_KIB: '19456',
  HASH_ITERATIONS: '2',
};

const apps: TestApp[] = [];
const start = async (env: Record<string, string>) => {
  const app = await createTestApp({ env: { ...PRODUCTION, ...env } });
  apps.push(app);
  return app;
};
afterAll(() => Promise.all(apps.map((app) => app.close())));

/** Every path an instance with all tools on answers under these prefixes. */
async function toolPaths(): Promise<{ method: 'GET' | 'POST'; url: string }[]> {
  const found: { method: 'GET' | 'POST'; url: string }[] = [];
  const app = await createTestApp();
  apps.push(app);
  const lines = app.server.printRoutes({ commonPrefix: false }).split('\n');
  const stack: string[] = [];
  for (const line of lines) {
    const match = /^([\s│]*)[├└]── (\S*)(?: \((.*)\))?/.exec(line);
    if (!match) continue;
    const depth = match[1]!.length / 4;
    stack.length = depth;
    stack[depth] = match[2]!;
    const url = stack.join('').replace(/:\w+/g, '01a1fae7-ad96-76ff-88ab-da2d5a46cd6f');
    if (!/^\/(console|dev)\b/.test(url) || !match[3]) continue;
    for (const method of match[3].split(', ')) {
      if (method === 'GET' || method === 'POST') found.push({ method, url });
    }
  }
  return found;
}

test('with the console off, every console and dev route answers 404', async () => {
  const routes = await toolPaths();
  expect(routes.length).toBeGreaterThan(12);
  expect(routes.map((r) => r.url)).toEqual(
    expect.arrayContaining(['/console', '/console/events', '/dev/inbox']),
  );
  const app = await start({});
  for (const { method, url } of routes) {
    const answer = await app.call(method, url, { headers: { host: 'id.bank.test' } });
    expect(answer.status, `${method} ${url}`).toBe(404);
  }
});

describe('with the console on', () => {
  test('nothing is shown without the admin token, and the tools of the demo do not exist', async () => {
    const app = await start({ CONSOLE_ENABLED: 'true', ADMIN_TOKEN: ADMIN });
    const headers = { host: 'id.bank.test' };
    const get = (url: string, more = {}) => app.call('GET', url, { headers: { ...headers, ...more } });
    for (const url of [
      '/console',
      '/console/flows',
      '/console/events',
      '/console/counts.json',
      '/console/inbox',
    ]) {
      const answer = await get(url);
      expect([303, 404], url).toContain(answer.status);
      if (answer.status === 303) expect(answer.headers.location).toBe('/console/login');
    }
    const form = /name="form" value="([^"]+)"/.exec((await get('/console/login')).text)?.[1] ?? '';
    const login = (token: string, origin = 'https://id.bank.test') =>
      app.server.inject({
        method: 'POST',
        url: '/console/login',
        headers: { ...headers, origin, 'content-type': 'application/x-www-form-urlencoded' },
        payload: new URLSearchParams({ form, token }).toString(),
      });
    const wrong = await login('x');
    expect(wrong.statusCode).toBe(401);
    expect(wrong.headers['set-cookie']).toBeUndefined();
    expect((await login(ADMIN, 'https://evil.example')).statusCode).toBe(403);
    const right = await login(ADMIN);
    expect(right.statusCode).toBe(303);
    const set = String(right.headers['set-cookie']);
    expect(set).toMatch(
      /^__Host-vestibule_console=[\w-]{43}; Path=\/; Max-Age=28800; HttpOnly; SameSite=Strict; Secure$/,
    );
    const cookie = set.split(';')[0] ?? '';
    expect((await get('/console', { cookie })).status).toBe(200);
    expect((await get('/console', { cookie: `${cookie}x` })).status).toBe(303);
    expect((await get('/console', { cookie: `${cookie}; ${cookie}` })).status).toBe(400);
    for (const url of ['/console/inbox', '/dev/inbox', '/dev/inspect']) {
      expect((await get(url, { cookie })).status, url).toBe(404);
    }
    expect((await app.call('POST', '/console/demo', { headers: { ...headers, cookie } })).status).toBe(404);
    expect((await get('/console', { cookie })).text).not.toContain('demo flow');
    app.clock.advance(8 * 3_600_000 + 1);
    expect((await get('/console', { cookie })).status).toBe(303);
  });

  test('signing out ends the session for everybody who has its cookie, streams included, and no other session', async () => {
    const app = await start({ CONSOLE_ENABLED: 'true', ADMIN_TOKEN: ADMIN });
    const headers = { host: 'id.bank.test' };
    const page = async (cookie: string) =>
      (await app.call('GET', '/console', { headers: { ...headers, cookie } })).status;
    const shown = await app.call('GET', '/console/login', { headers });
    const form = /name="form" value="([^"]+)"/.exec(shown.text)?.[1] ?? '';
    const post = (url: string, fields: Record<string, string>, more: Record<string, string> = {}) =>
      app.server.inject({
        method: 'POST',
        url,
        headers: {
          ...headers,
          origin: 'https://id.bank.test',
          'content-type': 'application/x-www-form-urlencoded',
          ...more,
        },
        payload: new URLSearchParams({ form, ...fields }).toString(),
      });
    const signIn = async () =>
      String((await post('/console/login', { token: ADMIN })).headers['set-cookie']).split(';')[0] ?? '';
    const [cookie, other] = [await signIn(), await signIn()];
    const url = await app.server.listen({ host: '127.0.0.1', port: 0 });
    const stream = (cookie_: string) =>
      new Promise<IncomingMessage>((resolve, reject) =>
        request(`${url}/console/events`, { headers: { ...headers, cookie: cookie_ } }, resolve)
          .on('error', reject)
          .end(),
      );
    const [watching, staying] = [await stream(cookie), await stream(other)];
    expect([watching.statusCode, staying.statusCode]).toEqual([200, 200]);
    const ended = new Promise<void>((resolve) => watching.on('close', resolve));
    watching.on('error', () => {}).resume();
    staying.on('error', () => {}).resume();
    expect(await page(cookie)).toBe(200);
    expect((await post('/console/logout', {}, { cookie })).statusCode).toBe(303);
    expect(await page(cookie)).toBe(303);
    expect(await page(other)).toBe(200);
    await ended;
    expect(staying.destroyed).toBe(false);
    staying.destroy();
    const stored = await onDatabase(app.databaseUrl, (sql) => sql`select * from console_sessions`);
    expect(stored).toHaveLength(1);
    expect(JSON.stringify(stored)).not.toContain(other.split('=')[1]);
  });
});
