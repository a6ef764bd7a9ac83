/** What browsers of other origins are told, over the real application. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';

const LISTED = 'https://app.example.com';
let app: TestApp;
beforeAll(async () => {
  app = await createTestApp({ env: { CORS_ALLOWED_ORIGINS: `${LISTED},http://localhost:3000` } });
});
afterAll(() => app.close());

const preflight = (origin: string) =>
  app.server.inject({
    method: 'OPTIONS',
    url: '/v1/auth/refresh',
    headers: { origin, 'access-control-request-method': 'POST' },
  });

test('an origin on the list is answered with exactly itself, and caches are told it depends on it', async () => {
  for (const origin of [LISTED, 'http://localhost:3000']) {
    const { status, headers } = await app.call('GET', '/health/live', { headers: { origin } });
    expect(status).toBe(200);
    expect(headers).toMatchObject({
      'access-control-allow-origin': origin,
      'access-control-allow-credentials': 'true',
    });
    expect(headers.vary).toMatch(/origin/i);
    const asked = await preflight(origin);
    expect(asked).toMatchObject({ statusCode: 204, headers: { 'access-control-allow-origin': origin } });
    expect(asked.headers['access-control-allow-methods']).toContain('DELETE');
  }
});

test.each([
  ['null', 'null'],
  ['everything', '*'],
  ['a longer name', 'https://app.example.com.evil.test'],
  ['a prefixed name', 'https://evilapp.example.com'],
  ['a sub-domain', 'https://x.app.example.com'],
  ['another scheme', 'http://app.example.com'],
  ['another port', 'https://app.example.com:8443'],
  ['a trailing slash', 'https://app.example.com/'],
  ['another case', 'https://APP.example.com'],
  ['two origins', 'https://app.example.com https://evil.test'],
])('%s is not on the list: no CORS header, on answers, errors and preflights', async (_, origin) => {
  const [answer, missing, asked] = await Promise.all([
    app.call('GET', '/health/live', { headers: { origin } }),
    app.call('GET', '/v1/nothing', { headers: { origin } }),
    preflight(origin),
  ]);
  for (const { headers } of [answer, missing, asked]) {
    expect(Object.keys(headers).filter((name) => name.startsWith('access-control-'))).toEqual([]);
    expect(headers.vary).toMatch(/origin/i);
  }
});
