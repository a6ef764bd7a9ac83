import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { createHttpClient, providerUrl, readJson } from '../../src/adapters/http.ts';
import { DeliveryError } from '../../src/adapters/ports.ts';
import { answer, recordingServer } from './recording-server.ts';

const caught = async (work: Promise<unknown>): Promise<DeliveryError> => {
  const error = await work.then(
    () => undefined,
    (e: unknown) => e,
  );
  expect(error).toBeInstanceOf(DeliveryError);
  return error as DeliveryError;
};

describe('the outbound client', () => {
  let server: Awaited<ReturnType<typeof recordingServer>>;
  const post = (client = createHttpClient({ name: 'provider' }), path = '/x') =>
    client.post({
      url: `${server.url}${path}`,
      headers: { 'content-type': 'text/plain' },
      body: 'secret-body',
    });

  beforeEach(async () => {
    server = await recordingServer(answer(200, 'fine'));
  });
  afterEach(() => server.close());

  test('gives back status and body of a 2xx answer', async () => {
    expect(await post()).toEqual({ status: 200, body: 'fine' });
    expect(server.requests[0]).toMatchObject({ method: 'POST', path: '/x', body: 'secret-body' });
  });

  test.each([500, 502, 503, 504, 401, 403, 408, 429])('makes %i retryable', async (status) => {
    server.reply = answer(status, 'no');
    const error = await caught(post());
    expect(error.retry).toBe(true);
    expect(error.message).toBe(`provider answered ${status}`);
  });

  test.each([400, 404, 409, 422])('makes %i final', async (status) => {
    server.reply = answer(status, 'no');
    expect((await caught(post())).retry).toBe(false);
  });

  test.each([301, 302, 303, 307, 308])('does not follow a %i redirect', async (status) => {
    server.reply = answer(status, '', { location: `${server.url}/elsewhere` });
    const error = await caught(post());
    expect(error.retry).toBe(false);
    expect(server.requests.map((r) => r.path)).toEqual(['/x']);
  });

  test('gives up on a provider that accepts and says nothing, and calls it retryable', async () => {
    server.reply = () => {};
    const started = performance.now();
    const error = await caught(post(createHttpClient({ name: 'provider', timeoutMs: 80 })));
    expect(error.message).toBe('provider did not answer in time');
    expect(error.retry).toBe(true);
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  test('the time limit covers a body that stalls', async () => {
    server.reply = (response) => {
      response.writeHead(200).write('half');
    };
    const error = await caught(post(createHttpClient({ name: 'provider', timeoutMs: 80 })));
    expect(error.message).toBe('provider did not answer in time');
    expect(error.retry).toBe(true);
  });

  test('a connection that breaks off is retryable', async () => {
    server.reply = (response) => {
      response.writeHead(200, { 'content-length': '100' });
      response.write('half', () => response.socket?.destroy());
    };
    expect((await caught(post())).retry).toBe(true);
  });

  test('a provider nobody listens at is retryable', async () => {
    const { url } = server;
    await server.close();
    const client = createHttpClient({ name: 'provider' });
    expect((await caught(client.post({ url, headers: {}, body: '' }))).retry).toBe(true);
    server = await recordingServer(answer(200));
  });

  test('accepts an answer of exactly 256 KiB and refuses one byte more', async () => {
    server.reply = answer(200, 'x'.repeat(256 * 1024));
    expect((await post()).body).toHaveLength(256 * 1024);
    server.reply = answer(200, 'x'.repeat(256 * 1024 + 1));
    expect((await caught(post())).retry).toBe(false);
  });

  test('stops reading an answer without end', async () => {
    let closed = false;
    server.reply = (response) => {
      response.on('close', () => {
        closed = true;
      });
      const more = (): void => {
        while (!closed && response.write('x'.repeat(65_536)));
        if (!closed) response.once('drain', more);
      };
      more();
    };
    expect((await caught(post())).message).toContain('more than 262144 bytes');
    await expect.poll(() => closed).toBe(true);
  });

  test('an error quotes neither the request, the address nor the answer', async () => {
    server.reply = answer(400, 'secret-answer');
    const error = await caught(post(createHttpClient({ name: 'provider' }), '/secret-path'));
    expect(`${error.message} ${error.stack} ${String(error.cause)}`).not.toContain('secret');
  });
});

describe('a provider address', () => {
  test.each(['https://api.example.com', 'http://127.0.0.1:9', 'http://localhost:9', 'http://[::1]:9'])(
    'may be %s',
    (base) => {
      expect(providerUrl(base, '/p')).toBe(`${base}/p`);
    },
  );

  test.each([
    'http://api.example.com',
    'http://127.0.0.1.example.com',
    'http://localhost.example.com',
    'http://10.0.0.1',
    'ftp://127.0.0.1',
    'https://user:pass@api.example.com',
    'https://api.example.com/?key=1',
    'https://api.example.com/#x',
    'api.example.com',
    '',
  ])('may not be %s', (base) => {
    expect(() => providerUrl(base)).toThrow(Error);
  });

  test('keeps a base path and doubles no slash', () => {
    expect(providerUrl('https://gateway.example.com/sms/', '/v1')).toBe('https://gateway.example.com/sms/v1');
  });
});

test('an answer that is not the documented one is a final DeliveryError', () => {
  const schema = z.strictObject({ ok: z.boolean() });
  expect(readJson({ status: 200, body: '{"ok":true}' }, schema, 'provider')).toEqual({ ok: true });
  for (const body of ['', '{', 'null', '{"ok":"yes"}', '{"ok":true,"more":1}']) {
    expect(() => readJson({ status: 200, body }, schema, 'provider')).toThrow(DeliveryError);
  }
});
