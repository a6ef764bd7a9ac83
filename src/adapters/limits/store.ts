/**
 * Counting for rate limits: one atomic decision over several exact sliding windows, in memory or in Redis.
 * A refusal must never cost anything, and a full store must fail rather than forget a live counter.
 */
import { randomBytes } from 'node:crypto';
import type { Redis, Result } from 'ioredis';
import { StoreUnavailable } from '../breaker.ts';
import type { RedisStore } from '../redis.ts';

/** `limit` units in any span of `windowMs`. `key` must already be a keyed hash: it is stored as it is. */
export type LimitRule = {
  name: string;
  key: string;
  limit: number;
  windowMs: number;
  /** `refuse` stops the call; `suppress` lets it through with nothing spent and the caller told. */
  onExceed: 'refuse' | 'suppress';
  /** Reaching this cap is an alarm with this message. */
  alarm?: string;
  /** What takes the unit, by name: while that unit lives, taking it again costs nothing and is never refused. */
  unit?: string;
};

export type LimitVerdict =
  | { allowed: true; suppressed: boolean; capped: LimitRule[] }
  /** The fullest rule, that is the one with the longest wait. Nothing was consumed. */
  | { allowed: false; rule: LimitRule; retryAfterMs: number };

export interface LimitStore {
  /**
   * Takes one unit of every rule, or of none: when a `refuse` rule is full nothing is taken; when only `suppress`
   * rules are full the `refuse` rules are taken and no `suppress` rule is.
   * @throws StoreUnavailable when the counters cannot be read or kept.
   */
  take(rules: LimitRule[], nowMs: number): Promise<LimitVerdict>;
}

/** Times in order of arrival, each under the name of what took it. */
type Log = { units: [unit: string | undefined, time: number][]; expiresAt: number };

/** Counters of one process. Beyond `maxKeys` live counters it refuses to answer instead of evicting one. */
export function memoryLimitStore({ maxKeys = 100_000 }: { maxKeys?: number } = {}): LimitStore {
  const logs = new Map<string, Log>();
  let sweepSize = Math.min(1024, maxKeys);
  let sweptAt = Number.NEGATIVE_INFINITY;

  /** Sweeps at doublings, and when full at most once a second: a flood of new keys must not buy a scan each. */
  const makeRoom = (wanted: number, nowMs: number) => {
    if (logs.size + wanted > sweepSize && (sweepSize < maxKeys || nowMs - sweptAt >= 1000)) {
      for (const [key, log] of logs) if (log.expiresAt <= nowMs) logs.delete(key);
      sweptAt = nowMs;
      sweepSize = Math.min(maxKeys, Math.max(1024, (logs.size + wanted) * 2));
    }
    if (logs.size + wanted > maxKeys) throw new StoreUnavailable('too many live rate-limit counters');
  };

  const live = (rule: LimitRule, nowMs: number): Log['units'] => {
    const log = logs.get(storedKey(rule));
    if (!log) return [];
    const firstLive = log.units.findIndex(([, time]) => time > nowMs - rule.windowMs);
    log.units.splice(0, firstLive === -1 ? log.units.length : firstLive);
    return log.units;
  };

  const holds = (rule: LimitRule, nowMs: number): boolean =>
    rule.unit !== undefined && live(rule, nowMs).some(([unit]) => unit === rule.unit);

  const add = (rule: LimitRule, nowMs: number) => {
    const key = storedKey(rule);
    const log = logs.get(key) ?? { units: [], expiresAt: 0 };
    log.units.push([rule.unit, nowMs]);
    log.expiresAt = nowMs + rule.windowMs;
    logs.set(key, log);
  };

  return {
    async take(rules, nowMs) {
      const held = rules.map((rule) => holds(rule, nowMs));
      const timesOf = (rule: LimitRule) => live(rule, nowMs).map(([, time]) => time);
      const waits = rules.map((rule, i) => (held[i] ? 0 : waitOf(rule, timesOf(rule), nowMs)));
      const verdict = decide(rules, waits);
      if (!verdict.allowed) return verdict;
      const taken = rules.filter(
        (rule, i) => !held[i] && (rule.onExceed === 'refuse' || !verdict.suppressed),
      );
      makeRoom(taken.filter((rule) => !logs.has(storedKey(rule))).length, nowMs);
      for (const rule of taken) add(rule, nowMs);
      return verdict;
    },
  };
}

/** Milliseconds until the rule has room again; 0 when it has. `times` holds only live units, oldest first. */
function waitOf(rule: LimitRule, times: number[], nowMs: number): number {
  if (rule.limit < 1) return rule.windowMs;
  if (times.length < rule.limit) return 0;
  return Math.max(1, times[times.length - rule.limit]! + rule.windowMs - nowMs);
}

function decide(rules: LimitRule[], waits: number[]): LimitVerdict {
  const full = rules.map((rule, index) => ({ rule, wait: waits[index] ?? 0 })).filter(({ wait }) => wait > 0);
  const refused = full
    .filter(({ rule }) => rule.onExceed === 'refuse')
    .reduce<(typeof full)[number] | null>(
      (longest, one) => (longest && longest.wait >= one.wait ? longest : one),
      null,
    );
  if (refused) return { allowed: false, rule: refused.rule, retryAfterMs: refused.wait };
  return { allowed: true, suppressed: full.length > 0, capped: full.map(({ rule }) => rule) };
}

const storedKey = (rule: LimitRule) => `${rule.name}:${rule.key}`;

/**
 * KEYS: one sorted set per rule, score = time of a unit. ARGV: now, then per rule limit, window, cutoff
 * (now - window), suppress (0 or 1), member. Answers the wait of each rule in milliseconds.
 */
const TAKE = `
local now = tonumber(ARGV[1])
local waits, held, refused, capped = {}, {}, false, false
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 5
  local limit, window = tonumber(ARGV[at]), tonumber(ARGV[at + 1])
  redis.call('ZREMRANGEBYSCORE', key, '-inf', ARGV[at + 2])
  local count = redis.call('ZCARD', key)
  local wait = 0
  held[i] = redis.call('ZSCORE', key, ARGV[at + 4])
  if held[i] then
    wait = 0
  elseif limit < 1 then
    wait = window
  elseif count >= limit then
    local unit = redis.call('ZRANGE', key, count - limit, count - limit, 'WITHSCORES')
    wait = math.max(1, tonumber(unit[2]) + window - now)
  end
  waits[i] = wait
  if wait > 0 then
    if ARGV[at + 3] == '1' then capped = true else refused = true end
  end
end
if refused then return waits end
for i, key in ipairs(KEYS) do
  local at = 2 + (i - 1) * 5
  if not held[i] and not (capped and ARGV[at + 3] == '1') then
    redis.call('ZADD', key, ARGV[1], ARGV[at + 4])
    redis.call('PEXPIRE', key, tonumber(ARGV[at + 1]) + 60000)
  end
end
return waits
`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    takeLimits(keyCount: number, ...keysAndArguments: (string | number)[]): Result<number[], Context>;
  }
}

/**
 * Counters shared by all replicas. Time comes from the caller, so that one clock rules; the real-time expiry of a
 * key (window plus a minute) only bounds memory and assumes clocks closer together than that.
 */
export function redisLimitStore(redis: RedisStore, prefix: string): LimitStore {
  redis.client.defineCommand('takeLimits', { lua: TAKE });
  const instance = randomBytes(9).toString('base64url');
  let calls = 0;
  return {
    async take(rules, nowMs) {
      calls += 1;
      const keys = rules.map((rule) => `${prefix}${storedKey(rule)}`);
      const member = `${instance}.${calls}`;
      const numbers = rules.flatMap((rule) => [
        rule.limit,
        rule.windowMs,
        nowMs - rule.windowMs,
        rule.onExceed === 'suppress' ? 1 : 0,
        rule.unit ?? member,
      ]);
      const waits = await redis.run((client: Redis) =>
        client.takeLimits(keys.length, ...keys, nowMs, ...numbers),
      );
      return decide(rules, waits);
    },
  };
}
