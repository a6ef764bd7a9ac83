/** What is logged of a request, seen through a real logger. */
import Fastify from 'fastify';
import { expect, test } from 'vitest';
import { loggerOf, RequestLog, textOf } from '../src/http/log.ts';
import problems from '../src/http/problems.ts';

async function logged(work: (app: ReturnType<typeof Fastify>) => Promise<unknown>) {
  const lines: string[] = [];
  const stream = { write: (line: string) => void lines.push(line) };
  const app = Fastify({
    logger: loggerOf({ logLevel: 'info', logFormat: 'json' }, stream),
    logController: new RequestLog(),
  });
  await app.register(problems);
  app.get('/things/:id', async () => ({ ok: true }));
  app.get('/broken', async () => {
    throw Object.assign(new Error('duplicate key'), { code: '23505', detail: 'Key (phone)=(+15555555555)' });
  });
  await work(app);
  await app.close();
  return { text: lines.join(''), lines: lines.map((line) => JSON.parse(line) as Record<string, unknown>) };
}

test('one line per request: method, route pattern, status, time and request id; no path, query or header', async () => {
  const { lines, text } = await logged((app) =>
    app.inject({
      url: '/things/secret-id?token=secret-query',
      headers: { authorization: 'Bearer secret-header' },
    }),
  );
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({
    level: 30,
    method: 'GET',
    route: '/things/:id',
    status: 200,
    msg: 'request',
  });
  expect(lines[0]).toMatchObject({ requestId: expect.any(String), elapsedMs: expect.any(Number) });
  expect(text).not.toContain('secret');
});

test('a refusal is the same one line with its problem code, also where no route is', async () => {
  const { lines, text } = await logged((app) => app.inject({ url: '/nowhere/secret?x=secret' }));
  expect(lines).toHaveLength(1);
  expect(lines[0]).toMatchObject({ route: null, status: 404, problem: 'not_found' });
  expect(text).not.toContain('secret');
});

test('an unexpected error is logged with its stack and without the values a database repeats', async () => {
  const { lines, text } = await logged((app) => app.inject({ url: '/broken' }));
  expect(lines).toMatchObject([
    { level: 50, err: { code: '23505' } },
    { msg: 'request', status: 500 },
  ]);
  expect(text).toContain('log.test.ts');
  expect(text).not.toContain('15555555555');
});

test('text for people is one short line, with the stack when there is one', () => {
  const line = {
    level: 40,
    time: 0,
    pid: 1,
    hostname: 'h',
    msg: 'delivery failed',
    topic: 'sms.code',
    attempts: 2,
  };
  expect(textOf(JSON.stringify(line))).toMatch(
    /^\d\d:\d\d:\d\d warn {2}delivery failed topic=sms.code attempts=2\n$/,
  );
  expect(textOf(JSON.stringify({ ...line, err: { stack: 'Error: x\n  at y' } }))).toContain(
    '\nError: x\n  at y\n',
  );
});
