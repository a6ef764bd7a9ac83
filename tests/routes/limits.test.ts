/** Limits with the documented numbers, over HTTP, on a clock that the test moves; with Redis the same. */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { createTestApp, freshPhone, type TestApp } from '../support/app.ts';
import {
  ADULT,
  codeOf,
  expectProblem,
  limited,
  REAL,
  realPhone,
  verifyOtp,
  verifySignup,
  wrongFor,
} from './people.ts';

const [MINUTE, HOUR, DAY] = [60_000, 3_600_000, 86_400_000];

let app: TestApp;
beforeAll(async () => {
  // Only the capacity limit is lifted: it counts in real time.
  app = await createTestApp({ env: { ...REAL, LIMIT_NETWORK: '100000/1m' } });
});
afterAll(() => app.close());
// Every test begins with all windows empty, those of a day too.
beforeEach(() => app.clock.advance(DAY));

let host = 0;
/** A network of its own, so that only what a test counts is counted. */
const elsewhere = () => {
  host += 1;
  return `198.18.${host >> 8}.${host & 255}`;
};
const send = (phone: string, remoteAddress = elsewhere(), path = '/v1/auth/send-otp') =>
  app.call('POST', path, { body: { phone }, remoteAddress });
const start = (phone: string, remoteAddress = elsewhere()) =>
  send(phone, remoteAddress, '/v1/auth/signup/phone');
const check = (phone: string, otp: string, remoteAddress = elsewhere()) =>
  app.call('POST', '/v1/auth/verify-otp', { body: { phone, otp }, remoteAddress });

describe('codes sent to one number', () => {
  test('wait 30 s for each other, per purpose; the refusal says how long, and sends nothing', async () => {
    const phone = realPhone();
    expect((await send(phone)).status).toBe(200);
    const refused = await send(phone);
    expectProblem(refused, 429, 'rate_limited');
    expect(refused.headers['retry-after']).toBe('30');
    expect(refused.headers.ratelimit).toMatch(/^"code-send";r=0;t=30$/);
    expect(refused.headers['ratelimit-policy']).toBe('"code-send";q=30;w=3600');
    expect((await start(phone)).status).toBe(200);
    expectProblem(await start(phone), 429, 'rate_limited');
    app.clock.advance(29_000);
    expectProblem(await send(phone), 429, 'rate_limited');
    app.clock.advance(1_000);
    expect((await send(phone)).status).toBe(200);
    await app.relay.drain();
    expect(await app.services.inbox?.list({ to: phone })).toHaveLength(3);
  });

  test('are three in five minutes and ten a day, however the number is written and wherever from', async () => {
    const phone = realPhone();
    const spelled = `${phone.slice(0, 3)} (${phone.slice(3, 8)}) ${phone.slice(8)}`;
    for (let i = 0; i < 3; i++) {
      expect((await send(i % 2 ? spelled : phone)).status).toBe(200);
      app.clock.advance(31_000);
    }
    expectProblem(await send(spelled), 429, 'rate_limited');
    for (let i = 3; i < 10; i++) {
      app.clock.advance(5 * MINUTE);
      expect((await send(phone)).status).toBe(200);
    }
    app.clock.advance(HOUR);
    const refused = await send(phone);
    expectProblem(refused, 429, 'rate_limited');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(22 * 3600);
    app.clock.advance(DAY);
    expect((await send(phone)).status).toBe(200);
  });

  test('refused ones cost nothing: a caller who waits is served on time', async () => {
    const phone = realPhone();
    await send(phone);
    for (let i = 0; i < 20; i++) expect((await send(phone)).status).toBe(429);
    app.clock.advance(30_000);
    expect((await send(phone)).status).toBe(200);
  });
});

describe('one network', () => {
  test('asks for 30 codes an hour, login and sign-up together, and is told its budget', async () => {
    const network = elsewhere();
    for (let i = 0; i < 30; i++) {
      app.clock.advance(2500);
      const answer = await (i % 2 ? start : send)(realPhone(), network);
      expect(answer.status).toBe(200);
    }
    const refused = await send(realPhone(), network);
    expectProblem(refused, 429, 'rate_limited');
    expect(refused.headers['ratelimit-policy']).toBe('"code-send";q=30;w=3600');
    expect((await send(realPhone())).status).toBe(200);
    app.clock.advance(HOUR);
    expect((await send(realPhone(), network)).status).toBe(200);
  });

  test('is a whole IPv6 /64, and an IPv4 address is itself in IPv6 spelling too', async () => {
    for (let i = 0; i < 30; i++) {
      app.clock.advance(2500);
      expect((await send(realPhone(), `2001:db8:0:7::${(i + 1).toString(16)}`)).status).toBe(200);
    }
    expectProblem(await send(realPhone(), '2001:DB8::7:aaaa:bbbb:cccc:dddd'), 429, 'rate_limited');
    expect((await send(realPhone(), '2001:db8:0:8::1')).status).toBe(200);
    const network = elsewhere();
    for (let i = 0; i < 30; i++) {
      app.clock.advance(2500);
      await send(realPhone(), i % 2 ? network : `::ffff:${network}`);
    }
    expectProblem(await send(realPhone(), `::ffff:${network}`), 429, 'rate_limited');
  });

  test('checks 60 codes an hour, right and wrong ones', async () => {
    const network = elsewhere();
    for (let i = 0; i < 60; i++)
      expectProblem(await check(realPhone(), '123456', network), 400, 'invalid_code');
    const phone = realPhone();
    await send(phone);
    const code = await codeOf(app, phone);
    const refused = await check(phone, code, network);
    expectProblem(refused, 429, 'rate_limited');
    expect(refused.headers['ratelimit-policy']).toBe('"code-check";q=60;w=3600');
    expect((await check(phone, code)).status).toBe(200);
  });
});

describe('spending caps accept and send nothing', () => {
  const suppressed = async (flowId: string) => {
    const [row] = await app.services.db.writes`
      select (select count(*)::int from audit_events where flow_id = ${flowId} and type = 'code.suppressed') as audited,
             (select count(*)::int from outbox where flow_id = ${flowId} and topic = 'code.send') as queued`;
    return row;
  };

  test('beyond ten to one number range in ten minutes; the answer does not tell', async () => {
    const phones = Array.from({ length: 12 }, (_, i) => `+919876501${String(230 + i)}`);
    const answers = [];
    for (const phone of phones) {
      app.clock.advance(2500);
      answers.push(await send(phone));
    }
    expect(answers.map((a) => a.status)).toEqual(phones.map(() => 200));
    const [sent, held] = [answers[0]!, answers[10]!];
    expect(Object.keys(held.body)).toEqual(Object.keys(sent.body));
    expect(Object.keys(held.headers).sort()).toEqual(Object.keys(sent.headers).sort());
    expect(await suppressed(sent.body.flow_id)).toEqual({ audited: 0, queued: 1 });
    expect(await suppressed(held.body.flow_id)).toEqual({ audited: 1, queued: 0 });
    await app.relay.drain();
    expect(await app.services.inbox?.latest(phones[10]!)).toBeNull();
    // What was never sent cannot be answered, and asking again later sends.
    expectProblem(await verifyOtp(app, phones[10]!, '123456'), 400, 'invalid_code');
    app.clock.advance(10 * MINUTE);
    expect(await suppressed((await send(phones[10]!)).body.flow_id)).toEqual({ audited: 0, queued: 1 });
  });

  test('beyond a hundred to one country in an hour; other countries are served', async () => {
    let last = '';
    for (let i = 0; i < 101; i++) {
      app.clock.advance(2500);
      const answer = await send(`+5511${String(912_345_678 + i * 10_007)}`);
      expect(answer.status).toBe(200);
      last = answer.body.flow_id;
    }
    expect(await suppressed(last)).toEqual({ audited: 1, queued: 0 });
    expect(await suppressed((await send(realPhone())).body.flow_id)).toEqual({ audited: 0, queued: 1 });
  });
});

test('when strangers have used up their part of all SMS, an owner still gets a code, and the console says so', async () => {
  const demo = await createTestApp({ env: { LIMIT_SMS_ALL: '10/1h' } });
  const { phone } = await limited(demo);
  const queued = async (number: string) => {
    demo.clock.advance(2000);
    const { body } = await demo.call('POST', '/v1/auth/send-otp', { body: { phone: number } });
    const [row] = await demo.services.db.writes`
      select count(*)::int as n from outbox where flow_id = ${body.flow_id} and topic = 'code.send'`;
    return row?.n;
  };
  for (let i = 0; i < 7; i++) expect(await queued(freshPhone())).toBe(1);
  expect((await demo.call('GET', '/console')).text).not.toContain('SMS cap');
  expect(await queued(freshPhone())).toBe(0);
  expect((await demo.call('GET', '/console')).text).toContain(
    'SMS cap for numbers without an account reached',
  );
  for (let i = 0; i < 2; i++) expect(await queued(phone)).toBe(1);
  expect(await queued(phone)).toBe(0);
  await demo.close();
});

describe('wrong codes for one number', () => {
  type Place = { network: string; device?: string };
  const enter = (phone: string, otp: string, token: string, { network, device }: Place) =>
    app.call('POST', '/v1/auth/verify-otp', {
      token,
      body: { phone, otp, ...(device ? { device_id: device } : {}) },
      remoteAddress: network,
    });
  /** A login code and its token; the next one may be asked for after this. */
  const ask = async (phone: string) => {
    app.clock.advance(2 * MINUTE);
    const sent = await send(phone);
    expect(sent.status).toBe(200);
    return { token: sent.body.flow_token as string, code: await codeOf(app, phone) };
  };
  const failuresOf = async (phone: string): Promise<number> => {
    const [row] = await app.services.db.writes`
      select t.count from throttles t join contacts c on t.key = 'code:d:' || c.id where c.canonical = ${phone}`;
    return row?.count ?? 0;
  };
  /** So many flows for one number with a code each; few enough that all may be asked for within a day. */
  const flowsOf = async (phone: string, count: number) => {
    const flows = [];
    for (let i = 0; i < count; i++) flows.push(await ask(phone));
    return flows;
  };

  test('in two foreign flows of one network leave the owner’s right code good', async () => {
    const phone = realPhone();
    const network = elsewhere();
    const statuses: number[] = [];
    for (const { token, code } of await flowsOf(phone, 2))
      for (let i = 0; i < 5; i++)
        statuses.push((await enter(phone, wrongFor(code), token, { network })).status);
    expect(statuses).toEqual([400, 400, 400, 400, 429, 429, 429, 429, 429, 429]);
    expect(await failuresOf(phone)).toBe(5);
    const { token, code } = await ask(phone);
    expectProblem(await enter(phone, code, token, { network }), 429, 'rate_limited');
    expect((await enter(phone, code, token, { network: elsewhere() })).status).toBe(200);
  });

  test('of thirty networks at once are compared fifteen times in all, and a device of the owner still gets in', async () => {
    const { phone } = await limited(app, { device: 'a-device-of-the-owner' });
    const flows = await flowsOf(phone, 5);
    const answers = await Promise.all(
      Array.from({ length: 30 }, elsewhere).flatMap((network, i) => {
        const { token, code } = flows[i % flows.length]!;
        return [1, 2].map(() => enter(phone, wrongFor(code), token, { network }));
      }),
    );
    const seen = new Set(answers.map(({ status }) => status));
    for (const status of seen) expect([400, 409, 429]).toContain(status);
    // A flow locks at its fifth, so that parallel answers leave room: the rest comes one by one.
    for (const { token, code } of flows)
      for (let i = 0; i < 5; i++) await enter(phone, wrongFor(code), token, { network: elsewhere() });
    expect(await failuresOf(phone)).toBe(15);
    const { token, code } = await ask(phone);
    expectProblem(await enter(phone, code, token, { network: elsewhere() }), 429, 'rate_limited');
    expectProblem(
      await enter(phone, code, token, { network: elsewhere(), device: 'another-device' }),
      429,
      'rate_limited',
    );
    const device = 'a-device-of-the-owner';
    expect((await enter(phone, code, token, { network: elsewhere(), device })).status).toBe(200);
  });

  test('are twenty a day, also from a known device', async () => {
    const device = 'a-device-of-the-owner';
    const { phone } = await limited(app, { device });
    for (const { token, code } of await flowsOf(phone, 5))
      for (let i = 0; i < 5; i++) await enter(phone, wrongFor(code), token, { network: elsewhere(), device });
    expect(await failuresOf(phone)).toBe(20);
    const { token, code } = await ask(phone);
    expectProblem(await enter(phone, code, token, { network: elsewhere(), device }), 429, 'rate_limited');
    app.clock.advance(DAY);
    const next = await ask(phone);
    expect((await enter(phone, next.code, next.token, { network: elsewhere(), device })).status).toBe(200);
  });

  test('of others stay counted when the owner logs in, the owner’s own do not', async () => {
    const phone = realPhone();
    const [theirs, mine] = [elsewhere(), elsewhere()];
    const [foreign, own] = await flowsOf(phone, 2);
    for (let i = 0; i < 3; i++)
      await enter(phone, wrongFor(foreign!.code), foreign!.token, { network: theirs });
    for (let i = 0; i < 2; i++) await enter(phone, wrongFor(own!.code), own!.token, { network: mine });
    expect(await failuresOf(phone)).toBe(5);
    expect((await enter(phone, own!.code, own!.token, { network: mine })).status).toBe(200);
    expect(await failuresOf(phone)).toBe(3);
  });

  test('without the token leave its holder’s checks alone, from however many networks', async () => {
    const phone = realPhone();
    for (let i = 0; i < 3; i++) {
      await ask(phone);
      for (let n = 0; n < 10; n++) await check(phone, '111111');
    }
    expect(await failuresOf(phone)).toBe(10);
    const { token, code } = await ask(phone);
    expect((await enter(phone, code, token, { network: elsewhere() })).status).toBe(200);
  });

  test('a device known to one account is no device of another: it opens no share of a foreign number', async () => {
    const { phone } = await limited(app, { device: 'a-device-of-the-owner' });
    await limited(app, { device: 'a-device-of-somebody' });
    for (const { token, code } of await flowsOf(phone, 4))
      for (let i = 0; i < 5; i++)
        await enter(phone, wrongFor(code), token, { network: elsewhere(), device: 'a-device-of-somebody' });
    expect(await failuresOf(phone)).toBe(15);
  });

  test('are counted in the database: a new process with empty counters refuses too', async () => {
    const phone = realPhone();
    const network = elsewhere();
    for (const { token, code } of await flowsOf(phone, 2))
      for (let i = 0; i < 3; i++) await enter(phone, wrongFor(code), token, { network });
    const { token, code } = await ask(phone);
    const second = await createTestApp({ env: REAL, databaseUrl: app.databaseUrl, secrets: app.secrets });
    second.clock.advance(app.clock.offset());
    const answer = await second.call('POST', '/v1/auth/verify-otp', {
      token,
      body: { phone, otp: code },
      remoteAddress: network,
    });
    expectProblem(answer, 429, 'rate_limited');
    await second.close();
  });
});

describe('the demo', () => {
  test('lets the documented commands run twice in a row, and is out of any limit within a minute', async () => {
    const demo = await createTestApp();
    const phone = '+15555555555';
    for (let round = 0; round < 2; round++) {
      for (const [path, more, status] of [
        ['/v1/auth/send-otp', {}, 200],
        ['/v1/auth/verify-otp', { otp: '000000' }, 200],
        ['/v1/auth/signup/phone', {}, 200],
        ['/v1/auth/signup/verify-otp', { otp: '000000' }, 200],
        ['/v1/auth/signup/set-password', { password: 'StrongPassword@123' }, 200],
      ] as const)
        expect([path, (await demo.call('POST', path, { body: { phone, ...more } })).status]).toEqual([
          path,
          status,
        ]);
      demo.clock.advance(1000);
    }
    let refused: Awaited<ReturnType<TestApp['call']>> | undefined;
    for (let i = 0; i < 100 && refused?.status !== 429; i++)
      refused = await demo.call('POST', '/v1/auth/verify-otp', { body: { phone, otp: '111111' } });
    expectProblem(refused!, 429, 'rate_limited');
    expect(Number(refused?.headers['retry-after'])).toBeLessThanOrEqual(60);
    demo.clock.advance(MINUTE);
    await demo.call('POST', '/v1/auth/send-otp', { body: { phone } });
    expect((await demo.call('POST', '/v1/auth/verify-otp', { body: { phone, otp: '000000' } })).status).toBe(
      200,
    );
    await demo.close();
  });

  test('takes two hundred sign-ups of reserved numbers from one network when configured so, and sends each code', async () => {
    const wide = Object.fromEntries(
      [
        'CODE_SEND_NETWORK',
        'CODE_CHECK_NETWORK',
        'SET_PASSWORD_NETWORK',
        'SMS_RANGE',
        'SMS_COUNTRY',
        'SMS_ALL',
        'SMS_DAILY',
        'NETWORK',
      ].map((name) => [`LIMIT_${name}`, '100000/1m']),
    );
    const demo = await createTestApp({ env: wide });
    const one = async (i: number) => {
      const phone = `+1555555${String(2000 + i)}`;
      expect((await demo.call('POST', '/v1/auth/signup/phone', { body: { phone } })).status).toBe(200);
      const { flow_token: token } = (await verifySignup(demo, phone, '000000')).body;
      await demo.call('POST', '/v1/auth/signup/set-password', {
        token,
        body: { password: 'StrongPassword@123' },
      });
      return (await demo.call('POST', '/v1/auth/signup/profile', { token, body: ADULT })).body.account_tier;
    };
    const tiers: string[] = [];
    for (let i = 0; i < 200; i += 20)
      tiers.push(...(await Promise.all(Array.from({ length: 20 }, (_, j) => one(i + j)))));
    expect(tiers).toEqual(Array.from({ length: 200 }, () => 'LIMITED'));
    const [row] = await demo.services.db.writes`
      select count(*)::int as n from audit_events where type = 'code.suppressed'`;
    expect(row?.n).toBe(0);
    await demo.close();
  });
});

test('passwords for sign-ups are hashed so often per network, whatever number of flows it opens', async () => {
  const narrow = await createTestApp({
    env: { LIMIT_SET_PASSWORD_NETWORK: '2/1h', LIMIT_CODE_SEND_NETWORK: '100/1m' },
  });
  const statuses: number[] = [];
  for (let i = 0; i < 3; i++) {
    const phone = freshPhone();
    await narrow.call('POST', '/v1/auth/signup/phone', { body: { phone } });
    await narrow.call('POST', '/v1/auth/signup/verify-otp', { body: { phone, otp: '000000' } });
    const body = { phone, password: 'StrongPassword@123' };
    statuses.push((await narrow.call('POST', '/v1/auth/signup/set-password', { body })).status);
  }
  expect(statuses).toEqual([200, 200, 429]);
  await narrow.close();
});
