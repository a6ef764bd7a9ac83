/** Brokers: the Kite client against a server that behaves as Kite's documentation says, and the paper broker. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createKiteBroker, nextTokenEnd } from '../../src/adapters/broker-kite.ts';
import { createPaperBroker } from '../../src/adapters/broker-paper.ts';
import { BrokerRefused, BrokerUnavailable } from '../../src/adapters/ports.ts';
import { type KiteServer, startKite } from '../support/kite-server.ts';
import { answer, recordingServer } from './recording-server.ts';

let kite: KiteServer;
let broker: ReturnType<typeof createKiteBroker>;
beforeEach(async () => {
  kite = await startKite();
  broker = createKiteBroker({ baseUrl: kite.url, timeoutMs: 10_000, maxRetries: 3 });
});
afterEach(async () => {
  await broker.close();
  await kite.close();
});

const down = { status: 503, body: '{"status":"error","error_type":"NetworkException","message":"down"}' };

describe('Kite', () => {
  test('a request token becomes an access token once; the profile says whose it is; invalidation ends it', async () => {
    const app = kite.app();
    const requestToken = kite.login(app, 'AB1234');
    const { accessToken, userId } = await broker.exchange({ ...app, requestToken });
    expect(userId).toBe('AB1234');
    await expect(broker.exchange({ ...app, requestToken })).rejects.toBeInstanceOf(BrokerRefused);
    const token = { apiKey: app.apiKey, accessToken };
    expect(await broker.profile(token)).toEqual({ userId: 'AB1234' });
    await broker.invalidate(token);
    await expect(broker.profile(token)).rejects.toBeInstanceOf(BrokerRefused);
  });

  test('the secret itself is never sent: a checksum proves it', async () => {
    const app = kite.app();
    await broker.exchange({ ...app, requestToken: kite.login(app, 'AB1234') });
    expect(JSON.stringify(kite.calls)).not.toContain(app.apiSecret);
    await expect(
      broker.exchange({ ...app, apiSecret: 'wrong', requestToken: kite.login(app, 'AB1234') }),
    ).rejects.toBeInstanceOf(BrokerRefused);
  });

  test('a wrong key, a foreign token and an ended token are refused alike, after one request each', async () => {
    const [app, stranger] = [kite.app(), kite.app()];
    const accessToken = kite.grant(app, 'AB1234');
    const tokens = [
      { apiKey: 'nobody', accessToken },
      { apiKey: stranger.apiKey, accessToken },
      { apiKey: app.apiKey, accessToken: 'ended' },
    ];
    for (const token of tokens) await expect(broker.profile(token)).rejects.toBeInstanceOf(BrokerRefused);
    expect(kite.calls).toHaveLength(3);
  });

  test('the profile is asked again after failures, three times at most', async () => {
    const app = kite.app();
    const token = { apiKey: app.apiKey, accessToken: kite.grant(app, 'AB1234') };
    kite.troubles.push(down, 'cut', { status: 500 });
    expect(await broker.profile(token)).toEqual({ userId: 'AB1234' });
    expect(kite.calls).toHaveLength(4);
    kite.trouble = down;
    await expect(broker.profile(token)).rejects.toBeInstanceOf(BrokerUnavailable);
    expect(kite.calls).toHaveLength(8);
  });

  test('an exchange and an invalidation are never repeated', async () => {
    const app = kite.app();
    kite.trouble = down;
    await expect(broker.exchange({ ...app, requestToken: kite.login(app, 'AB1234') })).rejects.toBeInstanceOf(
      BrokerUnavailable,
    );
    await expect(broker.invalidate({ apiKey: app.apiKey, accessToken: 'x' })).rejects.toBeInstanceOf(
      BrokerUnavailable,
    );
    expect(kite.calls).toHaveLength(2);
  });

  test('a 429 is obeyed: no request before the time it names, and none at all when that is too far away', async () => {
    const app = kite.app();
    const token = { apiKey: app.apiKey, accessToken: kite.grant(app, 'AB1234') };
    const limited = (seconds: string) => ({ status: 429, headers: { 'retry-after': seconds } });
    kite.troubles.push(limited('1'));
    const started = performance.now();
    await broker.profile(token);
    expect(performance.now() - started).toBeGreaterThanOrEqual(990);
    kite.calls.length = 0;
    kite.troubles.push(limited('3600'));
    const failed = await broker.profile(token).catch((error) => error);
    expect(failed).toBeInstanceOf(BrokerUnavailable);
    expect(failed.retryAfterS).toBe(3600);
    expect(kite.calls).toHaveLength(1);
  });

  test('silence ends in time, with all repetitions inside the one span', async () => {
    const impatient = createKiteBroker({ baseUrl: kite.url, timeoutMs: 400, maxRetries: 10 });
    kite.trouble = 'silent';
    const token = { apiKey: 'a', accessToken: 'b' };
    await expect(impatient.profile(token)).rejects.toThrow(/in time/);
    expect(kite.calls).toHaveLength(1);
    await impatient.close();
  });

  test.each([
    ['a 403 page of a proxy', { status: 403, body: '<html>Forbidden</html>' }],
    ['a success without data', { status: 200, body: '{"status":"success"}' }],
    ['an error with status 200', { status: 200, body: '{"status":"error","error_type":"TokenException"}' }],
    ['another kind of 403', { status: 403, body: '{"status":"error","error_type":"GeneralException"}' }],
    ['a redirect', { status: 302, headers: { location: 'http://127.0.0.1:1/' } }],
    ['an answer without end', { status: 200, body: JSON.stringify({ x: 'y'.repeat(300_000) }) }],
  ])('%s says nothing about the credentials', async (_name, trouble) => {
    const once = createKiteBroker({ baseUrl: kite.url, timeoutMs: 5000, maxRetries: 0 });
    kite.trouble = trouble;
    await expect(once.profile({ apiKey: 'a', accessToken: 'b' })).rejects.toBeInstanceOf(BrokerUnavailable);
    await once.close();
  });

  test('errors quote no key, no token and no address', async () => {
    const token = { apiKey: 'planted-key', accessToken: 'planted-token' };
    const failures = [await broker.profile(token).catch((e) => e)];
    kite.trouble = 'cut';
    failures.push(await broker.invalidate(token).catch((e) => e));
    for (const { message, stack, cause } of failures)
      expect(`${message}${stack}${JSON.stringify(cause)}`).not.toMatch(/planted|127\.0\.0\.1:\d/);
  });

  test('speaks https to other machines and version 3 to all', async () => {
    const options = { timeoutMs: 1000, maxRetries: 0 };
    expect(() => createKiteBroker({ baseUrl: 'http://api.kite.trade', ...options })).toThrow(/https/);
    const server = await recordingServer(answer(500));
    const other = createKiteBroker({ baseUrl: server.url, ...options });
    await other.profile({ apiKey: 'a', accessToken: 'b' }).catch(() => {});
    expect(server.requests[0]).toMatchObject({
      path: '/user/profile',
      headers: { 'x-kite-version': '3', authorization: 'token a:b' },
    });
    await other.close();
    await server.close();
  });

  test.each([
    ['2026-11-28T00:29:59.999Z', '2026-11-28T00:30:00.000Z'],
    ['2026-11-28T00:30:00.000Z', '2026-11-29T00:30:00.000Z'],
    ['2026-11-28T12:00:00.000Z', '2026-11-29T00:30:00.000Z'],
    ['2026-12-31T23:59:59.000Z', '2027-01-01T00:30:00.000Z'],
  ])('a token of %s ends at 06:00 in Asia/Kolkata: %s', (now, end) => {
    expect(new Date(nextTokenEnd(Date.parse(now))).toISOString()).toBe(end);
    const kolkata = new Intl.DateTimeFormat('en-GB', { timeZone: 'Asia/Kolkata', timeStyle: 'short' });
    expect(kolkata.format(nextTokenEnd(Date.parse(now)))).toBe('06:00');
  });
});

describe('the paper broker', () => {
  let now = Date.parse('2026-11-28T12:00:00Z');
  const paper = createPaperBroker({ now: () => now });

  test('knows whose token it is, and ends what it exchanged at 06:00', async () => {
    expect(await paper.profile({ apiKey: 'any', accessToken: 'paper-AB1234' })).toEqual({ userId: 'AB1234' });
    const login = { apiKey: 'any', apiSecret: 'any', requestToken: 'paper-AB1234' };
    const { accessToken, userId } = await paper.exchange(login);
    expect(userId).toBe('AB1234');
    now = paper.endOf(now) - 1;
    expect(await paper.profile({ apiKey: 'any', accessToken })).toEqual({ userId });
    now += 1;
    await expect(paper.profile({ apiKey: 'any', accessToken })).rejects.toBeInstanceOf(BrokerRefused);
  });

  test('refuses everything else, and can be down', async () => {
    for (const accessToken of ['', 'x', 'paper-', 'paper-AB1234-', 'paper-AB 34'])
      await expect(paper.profile({ apiKey: 'a', accessToken })).rejects.toBeInstanceOf(BrokerRefused);
    await expect(paper.profile({ apiKey: 'a', accessToken: 'paper-down' })).rejects.toBeInstanceOf(
      BrokerUnavailable,
    );
  });
});
