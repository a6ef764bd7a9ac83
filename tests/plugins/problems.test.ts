/** What a client may rely on when something is refused, and what it must never be shown. */
import { Writable } from 'node:stream';
import rateLimit from '@fastify/rate-limit';
import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { instanceOf } from '../../src/http/problem-json.ts';
import problems, { problemSchema } from '../../src/http/problems.ts';
import { Problem, problemCatalogue } from '../../src/kernel/problems.ts';
import { listen, raw } from './http.ts';

const UUID_V7 = /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const SECRET = 'hunter2-very-secret';

let app: FastifyInstance;
let port: number;
const logged: string[] = [];

beforeAll(async () => {
  const stream = new Writable({
    write(chunk, _encoding, done) {
      logged.push(String(chunk));
      done();
    },
  });
  app = Fastify({ logger: { level: 'info', stream } });
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
  await app.register(problems);

  const body = z.strictObject({
    phone: z.string().min(1).max(32),
    password: z.string().max(8),
    kind: z.enum(['a', 'b']).optional(),
    nested: z.object({ list: z.array(z.number()) }).optional(),
    pin: z
      .string()
      .regex(/^\d{4}$/, 'must be four digits')
      .optional(),
  });
  app.post('/body', { schema: { body } }, async () => ({}));
  app.get('/query', { schema: { querystring: z.object({ x: z.coerce.number().int() }) } }, async () => ({}));
  app.get('/headers', { schema: { headers: z.object({ 'x-thing': z.string() }) } }, async () => ({}));
  app.get('/params/:id', { schema: { params: z.object({ id: z.uuid() }) } }, async () => ({}));
  app.put('/both', async () => ({}));
  app.get('/both', async () => ({}));

  const thrown: Record<string, unknown> = {
    error: new Error(SECRET),
    text: SECRET,
    nothing: undefined,
    zero: 0,
    object: { message: SECRET, statusCode: 200 },
    fatal: Object.assign(new Error(SECRET), { code: '23505', statusCode: 500 }),
    refused: new Problem('event_refused', {
      state: 'otp_sent',
      next: [{ event: 'VERIFY' }],
      members: { valid: false, status: 'x' },
    }),
    circular: new Problem('conflict', { next: [loop()] }),
    limited: new Problem('rate_limited', { retryAfter: 1.2 }),
    dependency: new Problem(
      'dependency_unavailable',
      { retryAfter: 2 },
      { cause: new Error('cause-for-the-log') },
    ),
    unauthenticated: new Problem('unauthenticated'),
    token: new Problem('invalid_token'),
    stepup: new Problem('step_up_required'),
    scope: new Problem('insufficient_scope'),
    credentials: new Problem('invalid_credentials'),
  };
  app.get(
    '/throw/:name',
    { schema: { response: { '4xx': z.object({ other: z.string() }) } } },
    async (request, reply) => {
      reply.header('cache-control', 'public, max-age=300').header('etag', '"x"');
      throw thrown[(request.params as { name: string }).name];
    },
  );
  app.get(
    '/unserialisable',
    { schema: { response: { 200: z.object({ a: z.string() }) } } },
    async () => ({ a: 1 }) as never,
  );
  await app.register(async (scope) => {
    await scope.register(rateLimit, { max: 1, timeWindow: 60_000 });
    scope.get('/limited', async () => ({}));
  });
  port = await listen(app);
});

afterAll(() => app.close());

function loop() {
  const self: Record<string, unknown> = {};
  self.self = self;
  return self;
}

const get = (url: string) => app.inject({ url });
const post = (payload: unknown) => app.inject({ method: 'POST', url: '/body', payload: payload as object });
const errorsOf = async (answer: Promise<{ json(): { errors: { pointer: string; code: string }[] } }>) =>
  (await answer).json().errors.map(({ pointer, code }) => `${pointer} ${code}`);

describe('shape', () => {
  test('a refused event answers problem+json with every documented member', async () => {
    const answer = await get('/throw/refused?token=abc');
    expect(answer.statusCode).toBe(409);
    expect(answer.headers['content-type']).toBe('application/problem+json; charset=utf-8');
    expect(answer.json()).toEqual({
      type: '/problems/event_refused',
      title: 'This is not possible in the current state',
      status: 409,
      instance: '/throw/refused',
      code: 'event_refused',
      request_id: answer.headers['x-request-id'],
      state: 'otp_sent',
      next: [{ event: 'VERIFY' }],
      valid: false,
    });
  });

  test('an error is never cacheable, whatever the route had set', async () => {
    const answer = await get('/throw/token');
    expect(answer.headers['cache-control']).toBe('no-store');
    expect(answer.headers.etag).toBeUndefined();
  });

  test('a problem whose extras cannot be written is still a problem', async () => {
    const answer = await get('/throw/circular');
    expect(answer.statusCode).toBe(409);
    expect(answer.json()).toMatchObject({ code: 'conflict', status: 409 });
  });

  test('Retry-After and retry_after are the same whole seconds', async () => {
    const answer = await get('/throw/limited');
    expect(answer.headers['retry-after']).toBe('2');
    expect(answer.json().retry_after).toBe(2);
  });

  test.each([
    ['unauthenticated', 401, 'Bearer'],
    ['credentials', 401, 'Bearer'],
    ['token', 401, 'Bearer error="invalid_token"'],
    ['stepup', 401, 'Bearer error="insufficient_user_authentication"'],
    ['scope', 403, 'Bearer error="insufficient_scope"'],
  ])('%s answers %i with its challenge', async (name, status, challenge) => {
    const answer = await get(`/throw/${name}`);
    expect(answer.statusCode).toBe(status);
    expect(answer.headers['www-authenticate']).toBe(challenge);
  });

  test('the published schema accepts every problem it may meet', () => {
    for (const { code } of problemCatalogue()) {
      const { status, title } = new Problem(code);
      expect(problemSchema.safeParse({ type: '/x', title, status, code, anything: [1] }).success).toBe(true);
    }
  });
});

describe('unforeseen errors', () => {
  test.each(['error', 'text', 'zero', 'nothing', 'object', 'fatal'])(
    '%s becomes internal_error without its text',
    async (name) => {
      const answer = await get(`/throw/${name}`);
      expect(answer.statusCode).toBe(500);
      expect(answer.json().code).toBe('internal_error');
      expect(answer.body).not.toContain(SECRET);
      expect(answer.body).not.toMatch(/stack|\.ts|FST_|node_modules/);
    },
  );

  test('a response that breaks its schema is 500 and logged, without the reason in the answer', async () => {
    const answer = await get('/unserialisable');
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toMatchObject({ code: 'internal_error' });
    expect(answer.body).not.toMatch(/schema|zod|expected/i);
    const id = String(answer.headers['x-request-id']);
    expect(logged.some((line) => line.includes(id) && line.includes('FST_ERR_RESPONSE_SERIALIZATION'))).toBe(
      true,
    );
  });

  test('the cause goes to the log and only there', async () => {
    const answer = await get('/throw/dependency');
    expect(answer.statusCode).toBe(503);
    expect(answer.body).not.toContain('cause-for-the-log');
    expect(logged.some((line) => line.includes('cause-for-the-log'))).toBe(true);
  });

  test("the rate limiter's refusal is a problem with its waiting time", async () => {
    await get('/limited');
    const answer = await get('/limited');
    expect(answer.statusCode).toBe(429);
    expect(answer.json().code).toBe('rate_limited');
    expect(answer.json().retry_after).toBe(Number(answer.headers['retry-after']));
    expect(answer.json().retry_after).toBeGreaterThan(0);
  });
});

describe('validation', () => {
  test('each refused field is pointed at, by part', async () => {
    expect(await errorsOf(post({ password: 'x' }))).toEqual(['/body/phone required']);
    expect(await errorsOf(post({ phone: 1, password: 'x' }))).toEqual(['/body/phone invalid_type']);
    expect(await errorsOf(post({ phone: '', password: 'x' }))).toEqual(['/body/phone too_small']);
    expect(await errorsOf(post({ phone: '1', password: 'x', kind: 'c' }))).toEqual([
      '/body/kind invalid_value',
    ]);
    expect(await errorsOf(post({ phone: '1', password: 'x', nested: { list: [1, 'b'] } }))).toEqual([
      '/body/nested/list/1 invalid_type',
    ]);
    expect(await errorsOf(post({ phone: '1', password: 'x', role: 'admin' }))).toEqual([
      '/body/role unrecognized_key',
    ]);
    expect(await errorsOf(get('/query?x=abc'))).toEqual(['/query/x invalid_type']);
    expect(await errorsOf(get('/headers'))).toEqual(['/headers/x-thing required']);
    expect(await errorsOf(get('/params/12'))).toEqual(['/params/id invalid_format']);
  });

  test('a missing body is one error about the body', async () => {
    expect(await errorsOf(app.inject({ method: 'POST', url: '/body' }))).toEqual(['/body required']);
  });

  test('submitted values, invented keys and the validator never show', async () => {
    const answer = await post({
      phone: '1',
      password: SECRET,
      pin: SECRET,
      kind: SECRET,
      [`</${SECRET}>`]: 1,
    });
    expect(answer.statusCode).toBe(400);
    expect(answer.json().code).toBe('validation_failed');
    expect(answer.body).not.toContain(SECRET);
    expect(answer.body).not.toMatch(/zod|Invalid input|received|schemaPath|\^/i);
  });

  test('wording written for a field is kept', async () => {
    const answer = await post({ phone: '1', password: 'x', pin: 'abc' });
    expect(answer.json().errors).toEqual([
      { pointer: '/body/pin', code: 'invalid_format', message: 'must be four digits' },
    ]);
  });

  test('the number of errors is bounded', async () => {
    const many = Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`k${i}`, 1]));
    expect((await post({ phone: '1', password: 'x', ...many })).json().errors).toHaveLength(32);
  });
});

describe('paths and methods', () => {
  test('an unknown path is 404', async () => {
    const answer = await get('/nowhere');
    expect(answer.statusCode).toBe(404);
    expect(answer.json()).toMatchObject({ code: 'not_found', instance: '/nowhere' });
  });

  test('a known path with another method is 405 and says what is allowed', async () => {
    const answer = await app.inject({ method: 'DELETE', url: '/both?x=1' });
    expect(answer.statusCode).toBe(405);
    expect(answer.headers.allow).toBe('GET, HEAD, PUT, OPTIONS');
  });

  test('an OPTIONS handler for every path, as CORS has, makes no path known', async () => {
    const other = Fastify();
    await other.register(problems);
    other.options('*', async () => null);
    other.post('/known', async () => null);
    expect((await other.inject('/nowhere')).statusCode).toBe(404);
    const answer = await other.inject('/known');
    expect([answer.statusCode, answer.headers.allow]).toEqual([405, 'POST, OPTIONS']);
  });

  test.each([
    ['TRACE', '/both', 405, 'GET, HEAD, PUT, OPTIONS'],
    ['PROPFIND', '/both', 405, 'GET, HEAD, PUT, OPTIONS'],
    ['PROPFIND', '/nowhere', 501, undefined],
    ['CONNECT', 'example.com:443', 501, undefined],
  ])('%s %s is %d', async (method, target, status, allow) => {
    const answer = await raw(port, [`${method} ${target} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n`]);
    expect([answer.status, answer.headers.allow]).toEqual([status, allow]);
    expect(JSON.parse(answer.body).code).toBe(status === 405 ? 'method_not_allowed' : 'not_implemented');
  });

  test('OPTIONS is answered with what the path takes, body or not; an unknown path is 404', async () => {
    for (const more of ['', 'Content-Type: text/plain\r\nContent-Length: 1\r\n\r\nx']) {
      const head = `HTTP/1.1\r\nHost: a\r\nConnection: close\r\n${more}\r\n`;
      const known = await raw(port, [`OPTIONS /both ${head}`]);
      expect([known.status, known.headers.allow, known.body]).toEqual([204, 'GET, HEAD, PUT, OPTIONS', '']);
      expect((await raw(port, [`OPTIONS /nowhere ${head}`])).status).toBe(404);
    }
  });

  test('instance holds the path only, encoded', async () => {
    const answer = await raw(port, [
      'GET http://evil.example/no"where<script>?token=abc HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n',
    ]);
    expect(answer.status).toBe(404);
    expect(JSON.parse(answer.body).instance).toBe('/no%22where%3Cscript%3E');
    expect(answer.text).not.toContain('quiet');
    expect(instanceOf('/a\r\nSet-Cookie: x\u00e9\u{1f600}')).toBe(
      '/a%0D%0ASet-Cookie:%20x%E9%EF%BF%BD%EF%BF%BD',
    );
    expect(instanceOf('?x')).toBe('/');
  });

  test('every problem code has its page, and others have none', async () => {
    for (const { code, status, title } of problemCatalogue()) {
      const answer = await get(`/problems/${code}`);
      expect(answer.statusCode).toBe(200);
      expect(answer.json()).toMatchObject({ code, status, title, type: `/problems/${code}` });
      expect(answer.json().description.length).toBeGreaterThan(20);
    }
    expect((await get('/problems/toString')).statusCode).toBe(404);
  });

  test('a program gets JSON with cause and fix, a browser a page of its own; the list has all', async () => {
    const browser = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };
    for (const { code, title } of problemCatalogue()) {
      const { cause, fix } = (await get(`/problems/${code}`)).json();
      expect(cause.length).toBeGreaterThan(10);
      expect(fix.length).toBeGreaterThan(10);
      const page = await app.inject({ url: `/problems/${code}`, headers: browser });
      expect(page.headers['content-type']).toBe('text/html; charset=utf-8');
      expect(page.headers['content-security-policy']).toContain("default-src 'none'");
      expect(page.headers.vary).toContain('accept');
      for (const part of [code, title, 'Cause', 'What to do']) expect(page.body).toContain(part);
      expect(page.body).not.toContain('<script');
    }
    const codes = problemCatalogue().map(({ code }) => code);
    const list = await get('/problems');
    expect(list.json().problems.map((one: { code: string }) => one.code)).toEqual(codes);
    const page = await app.inject({ url: '/problems', headers: browser });
    for (const code of codes) expect(page.body).toContain(`id="${code}"`);
    for (const accept of ['application/json', 'application/problem+json, text/html', '*/*'])
      expect((await app.inject({ url: '/problems', headers: { accept } })).headers['content-type']).toMatch(
        /^application\/json/,
      );
  });
});

describe('request ids', () => {
  test('a new one is a UUIDv7', async () => {
    expect((await get('/nowhere')).headers['x-request-id']).toMatch(UUID_V7);
  });

  test('a well-formed one is kept and appears in the problem', async () => {
    const answer = await app.inject({ url: '/nowhere', headers: { 'x-request-id': 'trace-0123.a_b' } });
    expect(answer.headers['x-request-id']).toBe('trace-0123.a_b');
    expect(answer.json().request_id).toBe('trace-0123.a_b');
  });

  test.each([8, 64])('one of %d characters is kept', async (length) => {
    const id = 'a'.repeat(length);
    const answer = await app.inject({ url: '/nowhere', headers: { 'x-request-id': id } });
    expect(answer.headers['x-request-id']).toBe(id);
  });

  test.each(['short', 'a'.repeat(7), 'a'.repeat(65), 'with space!', '{"level":"info"}', 'é12345678'])(
    '%s is replaced',
    async (id) => {
      const answer = await app.inject({ url: '/both', headers: { 'x-request-id': id } });
      expect(answer.headers['x-request-id']).toMatch(UUID_V7);
    },
  );
});
