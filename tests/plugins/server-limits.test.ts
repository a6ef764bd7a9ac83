/** What a hostile or broken connection gets, byte for byte, and what every answer carries. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { setTimeout as never } from 'node:timers/promises';
import Fastify, { type FastifyInstance } from 'fastify';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import problems from '../../src/http/problems.ts';
import headersPlugin from '../../src/http/security-headers.ts';
import { LIMITS, serverLimits } from '../../src/http/server-limits.ts';
import strictJson from '../../src/http/strict-json.ts';
import { listen, raw } from './http.ts';

const flags = { https: true, demo: true };
let app: FastifyInstance;
let port: number;

async function build(trustProxy: string[], options = flags) {
  const server = Fastify(serverLimits({ trustProxy, ...options }));
  await server.register(headersPlugin, options);
  await server.register(problems);
  await server.register(strictJson);
  server.get('/', async (request) => ({ ip: request.ip, host: request.host, protocol: request.protocol }));
  server.post('/', async (request) => ({ body: request.body }));
  server.get('/jwks', async (_request, reply) =>
    reply.header('cache-control', 'public, max-age=300').send({ keys: [] }),
  );
  server.get('/item/:id', async () => ({}));
  server.get('/fails', async () => {
    throw new Error('x');
  });
  return server;
}

beforeAll(async () => {
  app = await build([]);
  port = await listen(app);
});
afterAll(() => app.close());

const get = (path: string, ...headers: string[]) =>
  raw(port, [[`GET ${path} HTTP/1.1`, 'Host: a', 'Connection: close', ...headers].join('\r\n'), '\r\n\r\n']);

describe('limits', () => {
  test('the server really has them', () => {
    const { server } = app;
    expect(server.requestTimeout).toBe(15_000);
    expect(server.headersTimeout).toBe(10_000);
    expect(server.keepAliveTimeout).toBe(65_000);
    expect(server.maxRequestsPerSocket).toBe(1_000);
    expect(app.initialConfig.bodyLimit).toBe(16_384);
    expect(LIMITS.connectionsCheckingInterval).toBeLessThanOrEqual(5_000);
  });

  test('a header block above 16 KiB is 431', async () => {
    const answer = await get('/', `X-Filler: ${'a'.repeat(17_000)}`);
    expect([answer.status, JSON.parse(answer.body).code, answer.closed]).toEqual([
      431,
      'header_too_large',
      true,
    ]);
  });

  test('a path parameter above 100 characters is 404', async () => {
    expect((await get(`/item/${'a'.repeat(100)}`)).status).toBe(200);
    const answer = await get(`/item/${'a'.repeat(101)}`);
    expect([answer.status, JSON.parse(answer.body).code]).toEqual([404, 'not_found']);
  });

  test('a path that is not validly encoded is 400 and says so without repeating it', async () => {
    const answer = await get('/item/%zz');
    expect(answer.status).toBe(400);
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(JSON.parse(answer.body)).toMatchObject({
      code: 'validation_failed',
      errors: [{ pointer: '/path' }],
    });
  });

  test('headers that never end are cut off by the timeout, and others are served meanwhile', async () => {
    const options = serverLimits({ trustProxy: [], ...flags });
    const quick = { headersTimeout: 100, requestTimeout: 100, connectionsCheckingInterval: 50 };
    const server = Fastify({ ...options, requestTimeout: 100, http: { ...options.http, ...quick } });
    server.get('/', async () => ({}));
    const own = await listen(server);
    const slow = raw(own, ['GET / HTTP/1.1\r\nHost: a\r\nX-Slow: '], 5_000);
    expect((await server.inject('/')).statusCode).toBe(200);
    const answer = await slow;
    expect([answer.status, answer.closed]).toEqual([408, true]);
    await server.close();
  });
});

describe('framing', () => {
  const body = '{"a":1}';
  const post = (...lines: string[]) => [
    'POST / HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\n',
    ...lines,
  ];

  test.each<[string, string[]]>([
    [
      'Content-Length and Transfer-Encoding',
      post('Content-Length: 7\r\nTransfer-Encoding: chunked\r\n\r\n', '0\r\n\r\n'),
    ],
    ['two Content-Lengths', post('Content-Length: 7\r\nContent-Length: 8\r\n\r\n', body)],
    ['a signed Content-Length', post('Content-Length: +7\r\n\r\n', body)],
    ['an unknown transfer coding', post('Transfer-Encoding: xchunked\r\n\r\n', body)],
    ['chunked not last', post('Transfer-Encoding: chunked, identity\r\n\r\n', '0\r\n\r\n')],
    ['a bare line feed', ['GET / HTTP/1.1\nHost: a\n\n']],
    ['a folded header', ['GET / HTTP/1.1\r\nHost: a\r\nX-A: b\r\n c\r\n\r\n']],
    ['a space before the colon', ['GET / HTTP/1.1\r\nHost : a\r\n\r\n']],
    ['U+0000 in a header', ['GET / HTTP/1.1\r\nHost: a\r\nX-A: b\0c\r\n\r\n']],
    ['a bad chunk size', post('Transfer-Encoding: chunked\r\n\r\n', 'zz\r\n')],
    ['no host', ['GET / HTTP/1.1\r\n\r\n']],
    ['not HTTP', ['\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03']],
  ])('%s is 400 and the connection closes', async (_name, chunks) => {
    const answer = await raw(port, [...chunks, 'GET /smuggled HTTP/1.1\r\nHost: a\r\n\r\n']);
    expect([answer.status, answer.closed]).toEqual([400, true]);
    expect(answer.text.match(/HTTP\/1\.1 \d/g)).toHaveLength(1);
    expect((await get('/')).status).toBe(200);
  });

  test('endless chunk extensions are refused and the connection closes', async () => {
    const answer = await raw(port, [
      ...post('Transfer-Encoding: chunked\r\n\r\n'),
      `7;${'a'.repeat(17_000)}\r\n${body}\r\n`,
    ]);
    expect([answer.status, answer.closed]).toEqual([413, true]);
  });

  test('a method that HTTP does not know is 501', async () => {
    const answer = await raw(port, ['BREW / HTTP/1.1\r\nHost: a\r\n\r\n']);
    expect([answer.status, answer.headers.allow]).toEqual([501, undefined]);
  });
});

describe('forwarded addresses', () => {
  const claims = [
    'X-Forwarded-For: 203.0.113.9',
    'X-Forwarded-Host: evil.example',
    'X-Forwarded-Proto: https',
  ];
  const others = ['X-Real-IP: 203.0.113.9', 'Forwarded: for=203.0.113.9', 'CF-Connecting-IP: 203.0.113.9'];

  test('mean nothing from a peer that is not trusted', async () => {
    const answer = await get('/', ...claims, ...others);
    expect(JSON.parse(answer.body)).toEqual({ ip: '127.0.0.1', host: 'a', protocol: 'http' });
  });

  test('are believed from a listed proxy, up to the first address that is not one', async () => {
    const behind = await build(['127.0.0.1', '10.0.0.0/8']);
    const answer = await behind.inject({
      url: '/',
      headers: { 'x-forwarded-for': '198.51.100.1, 203.0.113.9, 10.1.2.3', 'x-forwarded-proto': 'https' },
    });
    expect(answer.json()).toMatchObject({ ip: '203.0.113.9', protocol: 'https' });
    await behind.close();
  });

  test.each(['a', '', '1.2.3.4'.repeat(500), ','.repeat(100), '999.1.1.1'])(
    'garbage is harmless',
    async (value) => {
      const behind = await build(['127.0.0.1']);
      const answer = await behind.inject({ url: '/', headers: { 'x-forwarded-for': value } });
      expect(answer.statusCode).toBeLessThan(500);
      await behind.close();
    },
  );
});

describe('headers of every answer', () => {
  const EXPECTED = {
    'cache-control': 'no-store',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'referrer-policy': 'no-referrer',
    'x-content-type-options': 'nosniff',
    'strict-transport-security': 'max-age=31536000; includeSubDomains',
    'demo-mode': 'true',
  };

  test.each<[string, () => ReturnType<typeof get>]>([
    ['an answer', () => get('/')],
    ['an unknown path', () => get('/nowhere')],
    ['a failure', () => get('/fails')],
    ['a bad URL', () => get('/%zz')],
    ['broken bytes', () => raw(port, ['nonsense\r\n\r\n'])],
  ])('%s', async (_name, request) => {
    const { headers } = await request();
    expect(headers).toMatchObject(EXPECTED);
    expect(headers['content-type']).toMatch(/charset=utf-8$/);
    expect(headers.server).toBeUndefined();
    expect(headers['x-powered-by']).toBeUndefined();
  });

  test('a route may be cacheable', async () => {
    expect((await get('/jwks')).headers['cache-control']).toBe('public, max-age=300');
  });

  test('plain http promises no https, and without demo nothing says so', async () => {
    const plain = await build([], { https: false, demo: false });
    const { headers } = await plain.inject('/');
    expect(headers['strict-transport-security']).toBeUndefined();
    expect(headers['demo-mode']).toBeUndefined();
    expect(headers['cache-control']).toBe('no-store');
    await plain.close();
  });
});

test('closing finishes what is under way and closes what is idle', async () => {
  const server = await build([]);
  let entered = () => {};
  const started = new Promise<void>((resolve) => {
    entered = resolve;
  });
  let release = () => {};
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  server.get('/held', async () => {
    entered();
    await held;
    return { done: true };
  });
  const own = await listen(server);
  const busy = connect(own, '127.0.0.1');
  const text: string[] = [];
  busy.on('data', (chunk) => text.push(String(chunk)));
  busy.write('GET /held HTTP/1.1\r\nHost: a\r\n\r\n');
  await started;
  const closing = server.close();
  await expect.poll(() => server.server.listening, { timeout: 4_000 }).toBe(false);
  busy.write('GET /jwks HTTP/1.1\r\nHost: a\r\n\r\n');
  release();
  await once(busy, 'close');
  expect(text.join('')).toContain('{"done":true}');
  expect(text.join('')).toContain('{"keys":[]}');
  expect(await Promise.race([closing.then(() => 'closed'), never(4_000, 'late', { ref: false })])).toBe(
    'closed',
  );
});
