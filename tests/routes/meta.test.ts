/** What operators ask: identity, health in every condition, public keys; and the headers that every answer carries. */

import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from '../support/app.ts';
import { createDatabase, createEmptyDatabase } from '../support/database.ts';
import { expectProblem } from './people.ts';

let app: TestApp;
beforeAll(async () => {
  app = await createTestApp();
});
afterAll(() => app.close());

const get = (path: string, target = app) => target.call('GET', path);

test('the root says what this is and where the documentation is', async () => {
  expect((await get('/')).body).toMatchObject({
    version: 'test',
    environment: 'test',
    demo: true,
    docs: '/docs',
    docs_url: expect.stringMatching(/^http.*\/docs$/),
    message: expect.any(String),
  });
});

test('healthy: ready and alive, and not counted against anybody', async () => {
  for (const path of ['/health', '/health/ready']) {
    const answer = await get(path);
    expect(answer).toMatchObject({
      status: 200,
      body: { status: 'healthy', checks: { database: 'ok' }, degraded: [], version: 'test' },
    });
    expect(Date.parse(answer.body.timestamp)).toBeGreaterThan(0);
    expect(answer.headers.ratelimit).toBeUndefined();
  }
  expect(await get('/health/live')).toMatchObject({ status: 200, body: { status: 'alive' } });
});

test('without its database it is alive and not ready, and every route that needs one is 503 with Retry-After', async () => {
  const database = await createDatabase();
  const cut = await createTestApp({ databaseUrl: database.url });
  await database.drop();
  expect(await get('/health/ready', cut)).toMatchObject({
    status: 503,
    body: { status: 'unavailable', checks: { database: 'unreachable' } },
  });
  expect((await get('/health', cut)).status).toBe(503);
  expect((await get('/health/live', cut)).status).toBe(200);
  expect((await get('/.well-known/jwks.json', cut)).status).toBe(200);
  const sent = await cut.call('POST', '/v1/auth/send-otp', { body: { phone: '+15555555555' } });
  expectProblem(sent, 503, 'dependency_unavailable');
  expect(sent.text).not.toMatch(/postgres|database "|ECONN|sql/i);
  const wrong = { phone: '+15555555555', otp: '000000' };
  expectProblem(
    await cut.call('POST', '/v1/auth/verify-otp', { body: wrong }),
    503,
    'dependency_unavailable',
  );
  await cut.close();
});

test('a database that lacks migrations is not ready', async () => {
  const { migrate } = await import('../../db/migrate.ts');
  const database = await createEmptyDatabase();
  await migrate(database.url);
  const old = await createTestApp({ databaseUrl: database.url });
  await old.services.db.writes`delete from drizzle.__drizzle_migrations`;
  expect(await get('/health/ready', old)).toMatchObject({
    status: 503,
    body: { checks: { database: expect.stringMatching(/^\d+ migrations missing$/) } },
  });
  await old.close();
  await database.drop();
});

test('with a Redis that does not answer it is ready but degraded, and what limits guessing is closed', async () => {
  const dead = createServer((socket) => socket.destroy());
  await new Promise<void>((resolve) => dead.listen(0, '127.0.0.1', resolve));
  const { port } = dead.address() as AddressInfo;
  const without = await createTestApp({ env: { REDIS_URL: `redis://127.0.0.1:${port}` } });
  try {
    expect(await get('/health/ready', without)).toMatchObject({
      status: 200,
      body: { status: 'degraded', degraded: ['redis'], checks: { redis: 'unreachable', database: 'ok' } },
    });
    const sent = await without.call('POST', '/v1/auth/send-otp', { body: { phone: '+15555555555' } });
    expectProblem(sent, 503, 'dependency_unavailable');
    expect((await get('/.well-known/jwks.json', without)).status).toBe(200);
  } finally {
    await without.close();
    await new Promise((resolve) => dead.close(resolve));
  }
});

test('public keys stand under both paths, cacheable, and hold nothing private', async () => {
  const [a, b] = [await get('/v1/auth/.well-known/jwks.json'), await get('/.well-known/jwks.json')];
  expect(a.body).toEqual(b.body);
  expect(a.headers['cache-control']).toMatch(/^public, max-age=\d+$/);
  expect(a.body.keys.length).toBeGreaterThan(0);
  for (const key of a.body.keys) {
    expect(key).toMatchObject({ kid: expect.any(String), use: 'sig', alg: 'ES256', kty: 'EC' });
    for (const secret of ['d', 'p', 'q', 'k']) expect(key[secret]).toBeUndefined();
  }
});

describe('every answer carries the same protective headers', () => {
  const asked: [string, () => ReturnType<TestApp['call']>, number][] = [
    ['200', () => get('/'), 200],
    ['400', () => app.call('POST', '/v1/auth/send-otp', { body: {} }), 400],
    ['401', () => get('/v1/users/me'), 401],
    ['404', () => get('/nowhere'), 404],
    ['405', () => app.call('PUT', '/v1/kyc'), 405],
    ['413', () => app.call('POST', '/v1/auth/send-otp', { body: { phone: 'x'.repeat(17_000) } }), 413],
    [
      '415',
      () => app.call('POST', '/v1/auth/send-otp', { body: 'x', headers: { 'content-type': 'text/plain' } }),
      415,
    ],
    ['bad path', () => get('/%zz'), 400],
    ['keys', () => get('/.well-known/jwks.json'), 200],
  ];
  test.each(asked)('%s', async (name, ask, status) => {
    const answer = await ask();
    expect(answer.status).toBe(status);
    expect(answer.headers).toMatchObject({
      'x-content-type-options': 'nosniff',
      'referrer-policy': 'no-referrer',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'demo-mode': 'true',
      'content-type': expect.stringMatching(/^application\/(problem\+)?json; charset=utf-8$/),
    });
    if (name !== 'keys') expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers.server ?? answer.headers['x-powered-by']).toBeUndefined();
  });

  test('over https they promise it for a year; outside the demo nothing says demo', async () => {
    const https = await createTestApp({ env: { DEMO_MODE: 'false', PUBLIC_URL: 'https://id.example.com' } });
    const answer = await get('/', https);
    expect(answer.headers['strict-transport-security']).toBe('max-age=31536000; includeSubDomains');
    expect(answer.headers['demo-mode']).toBeUndefined();
    expect((await get('/')).headers['strict-transport-security']).toBeUndefined();
    await https.close();
  });
});
