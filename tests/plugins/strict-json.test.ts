/** Which bytes become a body. Sent over real sockets where a client library would tidy them up. */
import { createHmac, timingSafeEqual } from 'node:crypto';
import { gzipSync } from 'node:zlib';
import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import problems from '../../src/http/problems.ts';
import { serverLimits } from '../../src/http/server-limits.ts';
import strictJson, { parseStrictJson, registerRawJson } from '../../src/http/strict-json.ts';
import { Problem } from '../../src/kernel/problems.ts';
import { cpuMs } from '../support/cpu.ts';
import { listen, raw } from './http.ts';

const KEY = 'webhook-key';
const sign = (bytes: Buffer | string) => createHmac('sha256', KEY).update(bytes).digest('hex');

let app: FastifyInstance;
let port: number;
let handled = 0;

beforeAll(async () => {
  app = Fastify(serverLimits({ trustProxy: [], https: false, demo: false }));
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
  await app.register(problems);
  await app.register(strictJson);
  app.addHook('preHandler', async () => {
    handled++;
  });
  const body = z.strictObject({ a: z.number() });
  app.post('/checked', { schema: { body } }, async (request) => ({
    body: request.body,
    raw: request.rawBody === undefined,
  }));
  app.post('/any', async (request) => ({ body: request.body ?? null }));
  app.get('/any', async () => ({}));
  await app.register(async (scope) => {
    registerRawJson(scope, {
      verify: (request) => {
        const given = Buffer.from(String(request.headers['x-signature'] ?? ''));
        const wanted = Buffer.from(sign(request.rawBody));
        if (given.length !== wanted.length || !timingSafeEqual(given, wanted))
          throw new Problem('invalid_signature');
      },
    });
    scope.post('/webhook', { config: { rawBody: true }, schema: { body } }, async (request) => ({
      body: request.body,
      raw: request.rawBody?.toString('hex'),
    }));
    scope.post('/beside', async (request) => ({ body: request.body, raw: request.rawBody === undefined }));
  });
  port = await listen(app);
});

afterAll(() => app.close());

/** A POST exactly as given; Content-Length is added unless the headers frame the body themselves. */
async function post(headers: string[], body: Buffer | string, path = '/checked') {
  const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body;
  const framed = headers.some((header) => /^(content-length|transfer-encoding):/i.test(header));
  const length = framed ? [] : [`Content-Length: ${bytes.length}`];
  const head = [`POST ${path} HTTP/1.1`, 'Host: a', 'Connection: close', ...headers, ...length].join('\r\n');
  const answer = await raw(port, [`${head}\r\n\r\n`, bytes]);
  return { ...answer, json: answer.body.startsWith('{') ? JSON.parse(answer.body) : null };
}

const json = (body: Buffer | string, path?: string) => post(['Content-Type: application/json'], body, path);

describe('media type', () => {
  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'application/json;charset=UTF-8',
    'Application/JSON',
    ' application/json ',
    'application/json;',
    'application/json; charset=utf-8;',
    'application/json; version=1',
    'application/json;profile="https://example.com/a;b" ; charset="UTF-8"',
    'application/json\t;\tcharset=utf8',
  ])('%j is read, and validated like any other', async (type) => {
    const good = await post([`Content-Type: ${type}`], '{"a":1}');
    expect([good.status, good.json]).toEqual([200, { body: { a: 1 }, raw: true }]);
    const before = handled;
    const bad = await post([`Content-Type: ${type}`], '{"a":"x","b":1}');
    expect([bad.status, bad.json.code]).toEqual([400, 'validation_failed']);
    expect(handled).toBe(before);
  });

  test.each([
    ['text/plain'],
    ['application/json\ta'],
    ['application/json ;charset=utf-16'],
    ['application/json; charset=utf-8; charset=utf-16'],
    ['application/json; charset=iso-8859-1;'],
    ['application/json,text/plain'],
    ['application/jsonx'],
    ['application/vnd.api+json'],
    ['application/x-www-form-urlencoded'],
    ['multipart/form-data; boundary=x'],
    ['json'],
    [''],
  ])('%j is 415 and never reaches a handler', async (type) => {
    const before = handled;
    const answer = await post([`Content-Type: ${type}`], '{"a":1}');
    expect([answer.status, answer.json.code]).toEqual([415, 'unsupported_media_type']);
    expect(handled).toBe(before);
  });

  test('a body without a type is 415, chunked or not', async () => {
    expect((await post([], '{"a":1}')).status).toBe(415);
    expect((await post(['Transfer-Encoding: chunked'], '7\r\n{"a":1}\r\n0\r\n\r\n')).status).toBe(415);
  });

  test('no body needs no type', async () => {
    expect((await post([], '', '/any')).json).toEqual({ body: null });
  });

  test.each([
    'application/json',
    'application/json; charset=utf-8',
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'nonsense',
  ])('no bytes of %j are no body, by length and chunked', async (type) => {
    expect((await post([`Content-Type: ${type}`], '', '/any')).json).toEqual({ body: null });
    const chunked = [`Content-Type: ${type}`, 'Transfer-Encoding: chunked'];
    expect((await post(chunked, '0\r\n\r\n', '/any')).json).toEqual({ body: null });
    // A route that needs a body says so.
    const needed = await post([`Content-Type: ${type}`], '');
    expect([needed.status, needed.json.code]).toEqual([400, 'validation_failed']);
  });

  test('a compressed body is 415 without being opened', async () => {
    const bomb = gzipSync(Buffer.alloc(4 * 1024 * 1024));
    for (const encoding of ['gzip', 'br', 'GZIP, identity', 'x']) {
      const answer = await post(['Content-Type: application/json', `Content-Encoding: ${encoding}`], bomb);
      expect(answer.status).toBe(415);
    }
    const plain = await post(['Content-Type: application/json', 'Content-Encoding: identity'], '{"a":1}');
    expect(plain.status).toBe(200);
  });
});

describe('size', () => {
  const exactly = (size: number) => `{"a":${' '.repeat(size - 7)}1}`;

  test('16 KiB are read and one byte more is 413, after which the connection closes', async () => {
    expect((await json(exactly(16_384))).status).toBe(200);
    const declared = await json(exactly(16_385));
    expect([declared.status, declared.json.code, declared.closed]).toEqual([413, 'payload_too_large', true]);
    const chunk = exactly(16_385);
    const chunked = await post(
      ['Content-Type: application/json', 'Transfer-Encoding: chunked'],
      `${chunk.length.toString(16)}\r\n${chunk}\r\n0\r\n\r\n`,
    );
    expect([chunked.status, chunked.closed]).toEqual([413, true]);
  });

  test('a huge declared length is refused before the body arrives', async () => {
    const answer = await post(['Content-Type: application/json', 'Content-Length: 99999999999'], '{');
    expect([answer.status, answer.closed]).toEqual([413, true]);
  });
});

describe('content', () => {
  const nested = (depth: number) => '['.repeat(depth) + ']'.repeat(depth);
  const keys = (count: number) => `{${Array.from({ length: count }, (_, i) => `"k${i}":0`).join(',')}}`;

  test.each<[string, string, unknown]>([
    ['depth 16', nested(16), JSON.parse(nested(16))],
    ['256 keys', keys(256), JSON.parse(keys(256))],
    ['a number of 32 characters', `[${'1'.repeat(32)}]`, [Number('1'.repeat(32))]],
    ['the same key in two objects', '[{"a":1},{"a":2}]', [{ a: 1 }, { a: 2 }]],
    ['a key equal to a value', '{"a":"a","b":["a","a"]}', { a: 'a', b: ['a', 'a'] }],
    ['braces inside strings', '{"a":"{[\\"}]{","b":"\\\\"}', { a: '{["}]{', b: '\\' }],
    ['a surrogate pair, escaped', '["\\ud83d\\ude00"]', ['😀']],
    ['forbidden names as values', '["__proto__","constructor"]', ['__proto__', 'constructor']],
    ['a scalar', ' "x" ', 'x'],
  ])('%s is read', async (_name, text, value) => {
    const answer = await json(text, '/any');
    expect([answer.status, answer.json]).toEqual([200, { body: value }]);
  });

  test.each<[string, string | Buffer]>([
    ['white space', '  \n'],
    ['depth 17', nested(17)],
    ['depth 17 of objects', `${'{"a":'.repeat(17)}1${'}'.repeat(17)}`],
    ['depth 8000', '['.repeat(8000)],
    ['257 keys', keys(257)],
    ['257 keys over several objects', `[${keys(129)},${keys(128)}]`],
    ['a repeated key', '{"a":1,"a":2}'],
    ['a key repeated in disguise', '{"a":1,"\\u0061":2}'],
    ['a key repeated after a nested object', '{"a":{"b":1},"a":2}'],
    ['__proto__', '{"__proto__":{"a":1}}'],
    ['__proto__ in disguise', '{"\\u005f_proto__":{"a":1}}'],
    ['constructor.prototype', '{"constructor":{"prototype":{"a":1}}}'],
    ['prototype deep down', '[[{"x":{"prototype":1}}]]'],
    ['a number of 33 characters', `[${'1'.repeat(33)}]`],
    ['a number of 10,000 digits', `{"a":${'9'.repeat(10_000)}}`],
    ['an infinite number', '{"a":1e999}'],
    ['trailing text', '{"a":1}x'],
    ['two values', '{"a":1}{"a":1}'],
    ['a comment', '{"a":1/**/}'],
    ['a trailing comma', '{"a":1,}'],
    ['single quotes', "{'a':1}"],
    ['NaN', '{"a":NaN}'],
    ['an open string', '{"a'],
    ['an open escape', '{"a\\'],
    ['a bad escape', '{"a\\x":1}'],
    ['a raw line break in a string', '"a\nb"'],
    ['U+0000, escaped', '{"a":"\\u0000"}'],
    ['U+0000 in a key', '{"a\\u0000":1}'],
    ['U+0000, raw', '{"a":"\0"}'],
    ['a lone high surrogate', '["\\ud83d"]'],
    ['a lone low surrogate', '["\\ude00x"]'],
    ['surrogates in the wrong order', '["\\ude00\\ud83d"]'],
    ['a byte order mark', '\ufeff{"a":1}'],
    ['UTF-16', Buffer.from('\ufeff{"a":1}', 'utf16le')],
    ['latin1', Buffer.from('{"a":"é"}', 'latin1')],
    ['an overlong encoding', Buffer.from([0x22, 0xc0, 0xaf, 0x22])],
    ['a surrogate in UTF-8', Buffer.from([0x22, 0xed, 0xa0, 0x80, 0x22])],
    ['a cut character', Buffer.from([0x22, 0xe2, 0x82])],
  ])('%s is 400 within 20 ms, in no words of its own', async (_name, body) => {
    const answer = await json(body, '/any');
    expect([answer.status, answer.json.code]).toEqual([400, 'malformed_body']);
    expect(answer.json.detail).toMatch(/^The body [^"'{[]+\.$/);
    const bytes = Buffer.from(body);
    const refuse = () => expect(() => parseStrictJson(bytes)).toThrow(Problem);
    expect(cpuMs(refuse)).toBeLessThan(20);
  });

  test('nothing sent ever reaches Object.prototype', () => {
    expect(({} as { a?: unknown }).a).toBeUndefined();
  });

  test('whatever is accepted means the same to JSON.parse, over 20,000 mutations', () => {
    const seeds = ['{"a":[1,-2.5e3,true,null],"b":{"c":"\\u00e9\\n"}}', '[{"x":"y"},{"x":"z"}]', '"\\\\\\""'];
    let state = 7;
    const below = (n: number) => {
      state = (Math.imul(state, 1103515245) + 12345) & 0x7fffffff;
      return state % n;
    };
    const pieces = [
      '"',
      '\\',
      '{',
      '}',
      '[',
      ']',
      ',',
      ':',
      '0',
      '-',
      'e',
      ' ',
      'a',
      '"a":1',
      '\\u0061',
      'null',
    ];
    let accepted = 0;
    for (let i = 0; i < 20_000; i++) {
      let text = seeds[below(seeds.length)]!;
      for (let n = 1 + below(3); n > 0; n--) {
        const at = below(text.length + 1);
        text = text.slice(0, at) + pieces[below(pieces.length)]! + text.slice(at + below(3));
      }
      let value: unknown;
      try {
        value = parseStrictJson(Buffer.from(text));
      } catch (error) {
        if (!(error instanceof Problem)) throw error;
        continue;
      }
      accepted++;
      expect(value).toEqual(JSON.parse(text));
    }
    expect(accepted).toBeGreaterThan(500);
  });
});

describe('webhooks', () => {
  const deliver = (body: Buffer | string, signature: string) =>
    post(['Content-Type: application/json', `X-Signature: ${signature}`], body, '/webhook');

  test('the signature is checked over the very bytes that were sent, then they are parsed and validated', async () => {
    const body = '{ "a" : 1.0 }';
    const answer = await deliver(body, sign(body));
    expect([answer.status, answer.json]).toEqual([
      200,
      { body: { a: 1 }, raw: Buffer.from(body).toString('hex') },
    ]);
    expect((await deliver('{"a":"x"}', sign('{"a":"x"}'))).json.code).toBe('validation_failed');
  });

  test('a wrong signature is refused before anything is parsed', async () => {
    for (const body of ['{"a":1}', '{"a":', '']) {
      expect((await deliver(body, sign(`${body} `))).json.code).toBe('invalid_signature');
    }
    expect((await post([], '', '/webhook')).json.code).toBe('invalid_signature');
  });

  test('a right signature does not excuse malformed JSON', async () => {
    for (const body of ['{"a":1,"a":2}', '', '{"a":1}x']) {
      expect((await deliver(body, sign(body))).json.code).toBe('malformed_body');
    }
  });

  test('64 KiB are read there, one byte more is not', async () => {
    const body = `{"a":${' '.repeat(65_536 - 7)}1}`;
    expect((await deliver(body, sign(body))).status).toBe(200);
    expect((await deliver(`${body} `, sign(`${body} `))).status).toBe(413);
  });

  test('routes beside them keep nothing', async () => {
    expect((await json('{"a":1}', '/beside')).json).toEqual({ body: { a: 1 }, raw: true });
  });
});
