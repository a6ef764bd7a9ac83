/** The table of limits as callers meet it: what is refused, what is swallowed, and what happens without counters. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { StoreUnavailable } from '../../src/adapters/breaker.ts';
import { type LimitRule, type LimitStore, memoryLimitStore } from '../../src/adapters/limits/store.ts';
import { createLimits, defaultLimits, demoLimits, type Limits } from '../../src/http/limits/policy.ts';
import { systemClock } from '../../src/kernel/clock.ts';
import { Problem } from '../../src/kernel/problems.ts';

const IP = '203.0.113.7';
const hashKey = (text: string) => `h(${text})`;
const down: LimitStore = { take: () => Promise.reject(new StoreUnavailable('away')) };

let clock = systemClock();
let lines: string[];
const log = {
  warn: (details: object, message: string) => void lines.push(`${message} ${JSON.stringify(details)}`),
  error: (details: object, message: string) =>
    void lines.push(`error: ${message} ${JSON.stringify(details)}`),
};
const limitsOn = (store: LimitStore, numbers = defaultLimits) =>
  createLimits({ store, numbers, hashKey, clock, log });

const refusal = async (call: Promise<unknown>): Promise<Problem> => {
  const outcome = await call.then(
    () => 'allowed',
    (error) => error,
  );
  expect(outcome).toBeInstanceOf(Problem);
  return outcome as Problem;
};
const allowedOf = async (count: number, call: (i: number) => Promise<unknown>): Promise<number> => {
  let allowed = 0;
  for (let i = 0; i < count; i++)
    await call(i).then(
      () => allowed++,
      (error) => expect(error).toBeInstanceOf(Problem),
    );
  return allowed;
};

beforeEach(() => {
  clock = systemClock();
  lines = [];
});
afterEach(() => void vi.useRealTimers());

describe('with counters', () => {
  let limits: Limits;
  const send = (over: object = {}) =>
    limits.codeSend({ purpose: 'signup', identifier: '+15555550100', network: IP, ...over });

  beforeEach(() => {
    limits = limitsOn(memoryLimitStore());
  });

  it('sends codes after the cooldown, three in five minutes and ten a day, per purpose', async () => {
    await send();
    expect((await refusal(send())).code).toBe('rate_limited');
    for (let i = 0; i < 2; i++) {
      clock.advance(30_000);
      await send();
    }
    clock.advance(30_000);
    expect((await refusal(send())).extras.retryAfter).toBe(210);
    await send({ purpose: 'login' });
    for (let i = 3; i < 10; i++) {
      clock.advance(3_600_000);
      await send();
    }
    clock.advance(3_600_000);
    await refusal(send());
    clock.advance(86_400_000);
    await send();
  });

  it('limits the network over many identifiers, with the number of the send-code contract where it applies', async () => {
    const many = (batch: string, over: object) =>
      allowedOf(40, (i) => send({ identifier: `+1555${batch}${i}`, ...over }));
    expect(await many('1', {})).toBe(30);
    expect(await many('2', { networkClass: 'send-code' })).toBe(10);
    expect(await many('3', { network: '198.51.100.1' })).toBe(30);
  });

  it('lets a /48 use ten times what one of its /64 networks may, and no more', async () => {
    const check = (i: number) => limits.codeCheck({ network: `2001:db8:1:${i.toString(16)}::/64` });
    expect(await allowedOf(61, () => check(0))).toBe(60);
    expect(await allowedOf(700, check)).toBe(540);
    await limits.codeCheck({ network: '2001:db8:2:0::/64' });
  });

  it('answers 429 with a coarse Retry-After and fields that do not depend on the bucket', async () => {
    await send();
    clock.advance(1_000);
    const byIdentifier = await refusal(send());
    await allowedOf(40, (i) => send({ identifier: `+1555555${i}` }));
    const byNetwork = await refusal(send({ identifier: '+15555559999' }));
    expect(byIdentifier.status).toBe(429);
    expect(byIdentifier.extras.retryAfter).toBe(30);
    expect(byIdentifier.extras.headers).toEqual({
      'ratelimit-policy': '"code-send";q=30;w=3600',
      ratelimit: '"code-send";r=0;t=30',
    });
    expect(byNetwork.extras.headers?.['ratelimit-policy']).toBe('"code-send";q=30;w=3600');
    expect(byNetwork.extras.retryAfter! % 30).toBe(0);
    expect(byNetwork.message).toBe(byIdentifier.message);
  });

  it.each([
    ['range', 10, { range: '15555550' }],
    // Four fifths of all SMS of a minute: this caller has no account.
    ['country', 24, { country: 'US' }],
  ])(
    'accepts but does not send beyond the SMS caps, with %s given, and says so once a minute',
    async (_, cap, over) => {
      const decisions = [];
      for (let i = 0; i < cap + 5; i++) {
        decisions.push(await send({ identifier: `+1555555${i}`, network: `198.51.100.${i}`, ...over }));
      }
      expect(decisions.filter((decision) => !decision.suppressed)).toHaveLength(cap);
      expect(decisions.at(-1)?.capped).toHaveLength(1);
      expect(lines.filter((line) => line.includes('not sent'))).toHaveLength(1);
      clock.advance(700_000);
      expect(await send({ identifier: '+15555559', ...over })).toEqual({ suppressed: false, capped: [] });
    },
  );

  describe('all SMS together', () => {
    let n = 0;
    const stranger = () =>
      send({ identifier: `+1555556${++n}`, network: `198.51.${n >> 8}.${n & 255}`, country: `X${n % 9}` });
    const owner = () => {
      n += 1;
      return limits.codeSend({
        purpose: 'login',
        identifier: `+1555557${n}`,
        network: `198.51.${n >> 8}.${n & 255}`,
        country: `X${n % 9}`,
        hasAccount: async () => true,
      });
    };
    const sentOf = async (count: number, call: () => Promise<{ suppressed: boolean }>) => {
      let sent = 0;
      for (let i = 0; i < count; i++) if (!(await call()).suppressed) sent += 1;
      return sent;
    };

    it('keep a fifth for people with accounts, who get no more than the whole either', async () => {
      expect(await sentOf(40, stranger)).toBe(24);
      expect(await sentOf(40, owner)).toBe(6);
      expect(await sentOf(2, stranger)).toBe(0);
      clock.advance(61_000);
      expect(await sentOf(40, owner)).toBe(30);
    });

    it('raise one alarm per window for each part, which ends with the window', async () => {
      const errors = () => lines.filter((line) => line.startsWith('error:'));
      await sentOf(24, stranger);
      expect([errors(), limits.alarms()]).toEqual([[], []]);
      await sentOf(10, stranger);
      expect(errors()).toEqual([expect.stringContaining('without an account reached')]);
      await sentOf(10, owner);
      expect(errors()).toHaveLength(2);
      expect(errors()[1]).toContain('no SMS is sent');
      expect(limits.alarms()).toHaveLength(2);
      clock.advance(61_000);
      expect(limits.alarms()).toEqual([]);
      await sentOf(30, stranger);
      expect(errors()).toHaveLength(3);
    });

    it('do not pass a send off as suppressed when the counters fail on the way to the reserve', async () => {
      const store = memoryLimitStore();
      let away = false;
      limits = limitsOn({
        take: (rules, now) => (away ? Promise.reject(new StoreUnavailable('away')) : store.take(rules, now)),
      });
      await sentOf(30, stranger);
      const problem = await refusal(
        limits.codeSend({
          purpose: 'login',
          identifier: '+15555580000',
          network: '198.51.99.1',
          country: 'X1',
          hasAccount: async () => {
            away = true;
            return true;
          },
        }),
      );
      expect(problem.code).toBe('dependency_unavailable');
    });
  });

  it('does not put e-mail codes under the SMS caps', async () => {
    const sends = Array.from({ length: 35 }, (_, i) =>
      send({ identifier: `${i}@example.com`, network: `198.51.100.${i}` }),
    );
    expect((await Promise.all(sends)).some((decision) => decision.suppressed)).toBe(false);
  });

  it('has one mail budget per recipient and swallows what is beyond it', async () => {
    const mails = [];
    for (let i = 0; i < 12; i++) mails.push(await limits.mail({ recipient: 'a@example.com' }));
    expect(mails.map((mail) => mail.suppressed).lastIndexOf(false)).toBe(9);
    expect((await limits.mail({ recipient: 'b@example.com' })).suppressed).toBe(false);
  });

  it.each<[string, number, (limits: Limits, i: number) => Promise<unknown>]>([
    ['password login', 20, (l) => l.passwordLogin({ network: IP })],
    ['second factor', 60, (l) => l.secondFactor({ network: IP })],
    ['code check', 60, (l) => l.codeCheck({ network: IP })],
    ['refresh', 10, (l) => l.refresh({ sessionId: 's' })],
    ['user', 300, (l) => l.user({ accountId: 'a' })],
    ['register, by network', 5, (l, i) => l.register({ identifier: `${i}`, network: IP })],
    ['register, by identifier', 5, (l, i) => l.register({ identifier: 'x', network: `198.51.100.${i}` })],
    ['recovery, by network', 5, (l, i) => l.recoveryRequest({ identifier: `${i}`, network: IP })],
    [
      'recovery, by identifier',
      5,
      (l, i) => l.recoveryRequest({ identifier: 'x', network: `198.51.100.${i}` }),
    ],
    ['password reset, by network', 10, (l, i) => l.passwordReset({ identifier: `${i}`, network: IP })],
    [
      'password reset, by identifier',
      10,
      (l, i) => l.passwordReset({ identifier: 'x', network: `198.51.100.${i}` }),
    ],
  ])('keeps the documented number for %s: %i', async (_, limit, call) => {
    expect(await allowedOf(limit + 3, (i) => call(limits, i))).toBe(limit);
  });

  it('hands only keyed hashes to the store', async () => {
    const seen: LimitRule[] = [];
    const spy: LimitStore = {
      take: async (rules) => {
        seen.push(...rules);
        return { allowed: true, suppressed: false, capped: [] };
      },
    };
    limits = limitsOn(spy);
    await send({ range: '15555550', country: 'US', network: '2001:db8:1:2::/64' });
    await limits.mail({ recipient: 'a@example.com' });
    await limits.user({ accountId: 'id' });
    expect(seen.length).toBeGreaterThan(10);
    expect(seen.filter((rule) => !/^h\(.*\)$/.test(rule.key))).toEqual([]);
    expect(new Set(seen.map((rule) => rule.name + rule.key)).size).toBe(seen.length);
  });

  it('keeps demo windows short and its cooldown at one second', async () => {
    limits = limitsOn(memoryLimitStore(), demoLimits);
    await send();
    expect((await refusal(send())).extras.retryAfter).toBe(1);
    for (let i = 1; i < 20; i++) {
      clock.advance(1_000);
      await send();
    }
    clock.advance(1_000);
    await refusal(send());
    clock.advance(60_000);
    await send();
    const windows = Object.values(demoLimits).flatMap((one) =>
      typeof one === 'number' ? [] : [one.windowMs],
    );
    expect(Math.max(...windows)).toBe(60_000);
  });
});

describe('without counters', () => {
  let limits: Limits;
  beforeEach(() => {
    limits = limitsOn(down);
  });

  it.each<[string, (limits: Limits) => Promise<unknown>]>([
    ['code send', (l) => l.codeSend({ purpose: 'signup', identifier: 'x', network: IP })],
    ['code check', (l) => l.codeCheck({ network: IP })],
    ['second factor', (l) => l.secondFactor({ network: IP })],
    ['recovery', (l) => l.recoveryRequest({ identifier: 'x', network: IP })],
    ['password reset', (l) => l.passwordReset({ identifier: 'x', network: IP })],
    ['register', (l) => l.register({ identifier: 'x', network: IP })],
    ['mail', (l) => l.mail({ recipient: 'x' })],
    ['a notice by SMS', (l) => l.smsNotice({ recipient: 'x', range: '1', country: null, noticeId: 'n' })],
  ])('refuses %s with 503 and Retry-After', async (_, call) => {
    const problem = await refusal(call(limits));
    expect(problem.code).toBe('dependency_unavailable');
    expect(problem.extras.retryAfter).toBeGreaterThanOrEqual(3);
  });

  it('lets half of the password logins through, counted locally', async () => {
    expect(await allowedOf(25, () => limits.passwordLogin({ network: IP }))).toBe(10);
    expect((await refusal(limits.passwordLogin({ network: IP }))).code).toBe('rate_limited');
  });

  it('goes on with local counters for refresh and users', async () => {
    expect(await allowedOf(15, () => limits.refresh({ sessionId: 's' }))).toBe(10);
    expect(await allowedOf(305, () => limits.user({ accountId: 'a' }))).toBe(300);
  });

  it('with its own counters full too, refuses guesses and serves what only limits capacity, never as suppressed', async () => {
    // 50,000 live keys are as many as the stand-in holds.
    for (let i = 0; i < 50_000; i++) await limits.refresh({ sessionId: `${i}` });
    expect((await refusal(limits.passwordLogin({ network: IP }))).code).toBe('dependency_unavailable');
    expect(await limits.refresh({ sessionId: 'one more' })).toEqual({ suppressed: false, capped: [] });
  });

  it('counts every fallback and logs each control once a minute', async () => {
    for (let i = 0; i < 3; i++) await limits.refresh({ sessionId: `${i}` });
    await refusal(limits.codeCheck({ network: IP }));
    expect(limits.degraded()).toEqual({ refresh: 3, 'code-check': 1 });
    expect(lines).toHaveLength(2);
    clock.advance(60_000);
    await limits.refresh({ sessionId: 's' });
    expect(lines).toHaveLength(3);
  });

  it('does not make refresh wait for a store that hangs', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    let asked = 0;
    limits = limitsOn({
      take: () => {
        asked += 1;
        return new Promise(() => {});
      },
    });
    const eight = Promise.all(Array.from({ length: 8 }, () => limits.refresh({ sessionId: 's' })));
    await vi.advanceTimersByTimeAsync(200);
    expect(await eight).toHaveLength(8);
    expect(asked).toBe(8);
    // Time stands still: this one waits for nothing.
    await limits.refresh({ sessionId: 's' });
    expect(asked).toBe(8);
  });

  it('does not hide a fault that is not the store being away', async () => {
    limits = limitsOn({ take: () => Promise.reject(new TypeError('a bug')) });
    await expect(limits.codeCheck({ network: IP })).rejects.toThrow(TypeError);
  });
});
