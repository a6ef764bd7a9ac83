/** What real clients send and ask for: spelling of headers, origins of apps, tracing, conditional and compressed reads. */
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { listen, raw } from '../plugins/http.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { LIMITS_OFF } from '../support/limits-off.ts';
import { PASSWORD, signUp } from '../support/signed-in.ts';
import { expectProblem } from './people.ts';

const APPS = [
  'capacitor://localhost',
  'tauri://localhost',
  'chrome-extension://abcdefghijklmnopabcdefghijklmnop',
  'moz-extension://0f3a9c1e-6a0b-4c39-9f57-0d2f8d1f2a11',
  'safari-web-extension://0F3A9C1E-6A0B-4C39-9F57-0D2F8D1F2A11',
];
const ELSEWHERE = 'https://elsewhere.example';

let app: TestApp;
let port: number;
beforeAll(async () => {
  app = await createTestApp({
    env: { ...LIMITS_OFF, CORS_ALLOWED_ORIGINS: APPS.join(','), CORS_ALLOWED_HEADERS: 'X-Client-Version' },
  });
  port = await listen(app.server);
});
afterAll(() => app.close());

test.each(['Bearer', 'bearer', 'BEARER', 'bEaReR'])('the scheme %s is understood', async (scheme) => {
  const { access } = await signUp(app);
  for (const blanks of [' ', '  ']) {
    const headers = { authorization: `${scheme}${blanks}${access}` };
    expect((await app.call('GET', '/v1/users/me', { headers })).status).toBe(200);
  }
  for (const wrong of [`${scheme}${access}`, `${scheme}\t${access}`, `Basic ${access}`, `${scheme} `])
    expect((await app.call('GET', '/v1/users/me', { headers: { authorization: wrong } })).status).toBe(401);
});

test('a keyed request is the same request however its scheme is spelled', async () => {
  const { access } = await signUp(app);
  const send = (scheme: string) =>
    app.call('POST', '/v1/users/me/contacts', {
      body: { type: 'email', value: 'spelling@example.com', current_password: PASSWORD },
      headers: { authorization: `${scheme} ${access}`, 'idempotency-key': `spelling-${access.slice(-8)}` },
    });
  expect((await send('Bearer')).headers['idempotent-replayed']).toBeUndefined();
  expect((await send('bearer')).headers['idempotent-replayed']).toBe('true');
});

describe('a body of no bytes', () => {
  const TYPES = ['application/json', 'text/plain', 'application/x-www-form-urlencoded'];

  test.each(TYPES)('of type %s is none: logout and DELETE work', async (type) => {
    const headers = { 'content-type': type };
    const one = await signUp(app);
    const ended = await app.call('DELETE', `/v1/auth/sessions/${one.sessionId}`, {
      token: one.access,
      headers,
    });
    expect(ended.status).toBe(200);
    const two = await signUp(app);
    expect((await app.call('POST', '/v1/auth/logout', { token: two.access, headers })).status).toBe(200);
    expect((await app.call('GET', '/v1/users/me', { token: two.access })).status).toBe(401);
  });

  test('opens no way for other sites: a cookie still needs an origin of ours', async () => {
    const { headers } = await signUp(app, { token_transport: 'cookie' });
    const cookie = String(headers['set-cookie']).split(';')[0]!;
    const send = (origin: string) =>
      app.call('POST', '/v1/auth/refresh', { headers: { cookie, origin, 'content-type': 'text/plain' } });
    expectProblem(await send(ELSEWHERE), 403, 'foreign_origin');
    expect((await send(APPS[0]!)).status).toBe(200);
  });
});

describe('origins of apps and extensions', () => {
  test.each(APPS)(
    '%s is allowed as exact text, tracing headers and those of the setting with it',
    async (origin) => {
      const { headers } = await app.call('GET', '/health/live', { headers: { origin } });
      expect(headers['access-control-allow-origin']).toBe(origin);
      const asked = await app.server.inject({
        method: 'OPTIONS',
        url: '/v1/auth/login',
        headers: { origin, 'access-control-request-method': 'POST' },
      });
      expect(asked.statusCode).toBe(204);
      const allowed = String(asked.headers['access-control-allow-headers']).split(', ');
      for (const name of ['traceparent', 'tracestate', 'baggage', 'sentry-trace', 'x-client-version'])
        expect(allowed).toContain(name);
    },
  );

  test.each([
    'capacitor://localhost.evil.example',
    'capacitor://',
    'chrome-extension://ponmlkjihgfedcbaponmlkjihgfedcba',
    'CAPACITOR://localhost',
    'null',
  ])('%s is not', async (origin) => {
    const { headers } = await app.call('GET', '/health/live', { headers: { origin } });
    expect(headers['access-control-allow-origin']).toBeUndefined();
  });
});

describe('public documents', () => {
  test.each(['/.well-known/jwks.json', '/v1/auth/.well-known/jwks.json'])(
    '%s may be read by a page of any origin, without credentials, and is sent once',
    async (url) => {
      for (const origin of [ELSEWHERE, 'null', APPS[0]!]) {
        const { headers, body } = await app.call('GET', url, { headers: { origin } });
        expect(headers['access-control-allow-origin']).toBe('*');
        expect(headers['access-control-allow-credentials']).toBeUndefined();
        expect(body.keys.length).toBeGreaterThan(0);
      }
      const first = await app.call('GET', url);
      const etag = String(first.headers.etag);
      expect(etag).toMatch(/^"[\w-]+"$/);
      for (const known of [etag, `W/${etag}`, `"other", ${etag}`, '*']) {
        const again = await app.call('GET', url, { headers: { 'if-none-match': known } });
        expect([again.status, again.text]).toEqual([304, '']);
        expect(again.headers).toMatchObject({ etag, 'cache-control': first.headers['cache-control'] });
      }
      const other = await app.call('GET', url, { headers: { 'if-none-match': '"other"' } });
      expect(other.status).toBe(200);
    },
  );

  test('/openapi.json is compressed as the client accepts it, each form under its own tag', async () => {
    const get = (encoding: string, more: Record<string, string> = {}) =>
      app.server.inject({ url: '/openapi.json', headers: { 'accept-encoding': encoding, ...more } });
    const plain = await get('identity');
    expect(plain.headers['content-encoding']).toBeUndefined();
    const open = { gzip: gunzipSync, br: brotliDecompressSync };
    const tags = new Set([plain.headers.etag]);
    for (const [encoding, unpack] of Object.entries(open)) {
      const packed = await get(encoding === 'br' ? 'gzip, deflate, br' : 'gzip, br;q=0');
      expect(packed.headers['content-encoding']).toBe(encoding);
      expect(packed.headers.vary).toMatch(/accept-encoding/i);
      expect(packed.rawPayload.length).toBeLessThan(plain.rawPayload.length / 4);
      expect(unpack(packed.rawPayload).toString()).toBe(plain.body);
      tags.add(packed.headers.etag);
      const again = await get(encoding, { 'if-none-match': String(packed.headers.etag) });
      expect([again.statusCode, again.body]).toEqual([304, '']);
    }
    expect(tags.size).toBe(3);
  });
});

describe('on the wire', () => {
  const answer = (head: string) => raw(port, [`${head}\r\nConnection: close\r\n\r\n`]);

  test('two Host headers are 400, equal or not, on any path', async () => {
    for (const path of ['/health', '/v1/users/me', '/nowhere'])
      for (const second of ['Host: a', 'host: b', 'HOST: ']) {
        const two = await answer(`GET ${path} HTTP/1.1\r\nHost: a\r\n${second}`);
        expect([path, two.status]).toEqual([path, 400]);
      }
    expect((await answer('GET /health HTTP/1.1\r\nHost: a')).status).toBe(200);
  });

  test.each(['GET', 'OPTIONS', 'POST', 'HEAD', 'PROPFIND'])('%s * is 400', async (method) => {
    expect((await answer(`${method} * HTTP/1.1\r\nHost: a`)).status).toBe(400);
  });

  test('OPTIONS says what a path takes, from any origin', async () => {
    for (const origin of ['', `\r\nOrigin: ${ELSEWHERE}`, `\r\nOrigin: ${APPS[0]}`]) {
      const kyc = await answer(`OPTIONS /v1/kyc HTTP/1.1\r\nHost: a${origin}`);
      expect([kyc.status, kyc.headers.allow]).toEqual([204, 'GET, HEAD, POST, OPTIONS']);
      const session = await answer(`OPTIONS /v1/auth/sessions/x?y=1 HTTP/1.1\r\nHost: a${origin}`);
      expect([session.status, session.headers.allow]).toEqual([204, 'DELETE, OPTIONS']);
      expect((await answer(`OPTIONS /nowhere HTTP/1.1\r\nHost: a${origin}`)).status).toBe(404);
    }
  });

  test('Allow holds each documented operation of a path, and no method that is then refused with 405', async () => {
    const { body } = await app.call('GET', '/openapi.json');
    for (const [path, operations] of Object.entries<object>(body.paths)) {
      const url = path.replaceAll(/\{\w+\}/g, '0190f3c4-0000-7000-8000-00000000ffff');
      const { headers } = await app.server.inject({ method: 'OPTIONS', url });
      const allow = String(headers.allow).split(', ');
      for (const method of Object.keys(operations)) expect([path, ...allow]).toContain(method.toUpperCase());
      for (const method of ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'] as const) {
        const { statusCode } = await app.server.inject({ method, url });
        expect([method, path, statusCode === 405]).toEqual([method, path, !allow.includes(method)]);
      }
    }
  });
});
