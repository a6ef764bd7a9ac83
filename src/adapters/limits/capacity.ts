/**
 * Counting for limits that only protect capacity: two buckets per key, the older one fading out as the newer one fills,
 * so close to a sliding window without keeping every unit. Must never count what limits guessing, spending or rights.
 */
import type { Redis, Result } from 'ioredis';
import type { Window } from '../../config/limit-numbers.ts';
import { type Breaker, createBreaker, StoreUnavailable } from '../breaker.ts';
import type { RedisStore } from '../redis.ts';

/** `waitMs`: until a unit is free again; 0 when one was taken. */
export type CapacityCount = { allowed: boolean; remaining: number; waitMs: number };

/** Takes a unit of the key if there is one. `key` must already be a keyed hash. @throws StoreUnavailable */
export type CapacityCounter = (key: string, window: Window, nowMs: number) => Promise<CapacityCount>;

/** What the counts before this call say. The script below decides by the very same arithmetic. */
export function judge(
  { limit, windowMs }: Window,
  nowMs: number,
  current: number,
  previous: number,
): CapacityCount {
  const left = windowMs - (nowMs % windowMs);
  const used = current + (previous * left) / windowMs;
  if (used + 1 <= limit) return { allowed: true, remaining: Math.floor(limit - used - 1), waitMs: 0 };
  const wait =
    limit < 1
      ? windowMs
      : current < limit
        ? left - (windowMs * (limit - 1 - current)) / previous
        : left + windowMs * (1 - (limit - 1) / current);
  return { allowed: false, remaining: 0, waitMs: Math.max(1, Math.ceil(wait)) };
}

type Buckets = { bucket: number; current: number; previous: number; expiresAt: number };

/** Counters of one process. Beyond `maxKeys` live ones it refuses to answer instead of evicting one. */
export function memoryCapacity({ maxKeys = 50_000 }: { maxKeys?: number } = {}): CapacityCounter {
  const known = new Map<string, Buckets>();
  let sweptAt = Number.NEGATIVE_INFINITY;
  const sweep = (nowMs: number) => {
    if (nowMs - sweptAt < 1000) return;
    sweptAt = nowMs;
    for (const [key, { expiresAt }] of known) if (expiresAt <= nowMs) known.delete(key);
  };
  return async (key, window, nowMs) => {
    const bucket = Math.floor(nowMs / window.windowMs);
    const old = known.get(key);
    if (!old && known.size >= maxKeys) sweep(nowMs);
    if (!old && known.size >= maxKeys) throw new StoreUnavailable('too many live capacity counters');
    const previous = old?.bucket === bucket ? old.previous : old?.bucket === bucket - 1 ? old.current : 0;
    const current = old?.bucket === bucket ? old.current : 0;
    const count = judge(window, nowMs, current, previous);
    const expiresAt = (bucket + 2) * window.windowMs;
    known.set(key, { bucket, current: current + (count.allowed ? 1 : 0), previous, expiresAt });
    return count;
  };
}

/**
 * KEYS: current and previous bucket per call. ARGV: limit, window, what is left of it, and units used already, per call;
 * with none used one is taken if there is room. Answers the counts before.
 */
const COUNT = `
local answer = {}
for i = 1, #KEYS, 2 do
  local at = (i - 1) / 2 * 4
  local limit, window, left = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local used = tonumber(ARGV[at + 4])
  local counts = redis.call('MGET', KEYS[i], KEYS[i + 1])
  local current, previous = tonumber(counts[1] or '0'), tonumber(counts[2] or '0')
  if used > 0 or current + previous * left / window + 1 <= limit then
    local units = math.max(used, 1)
    if redis.call('INCRBY', KEYS[i], units) == units then redis.call('PEXPIRE', KEYS[i], window * 2 + 60000) end
  end
  answer[i], answer[i + 1] = current, previous
end
return answer
`;

declare module 'ioredis' {
  interface RedisCommander<Context> {
    countCapacity(keyCount: number, ...keysAndArguments: (string | number)[]): Result<number[], Context>;
  }
}

/** Units of a key in its present window and in the one before, as all replicas have told so far. */
export type Counts = { current: number; previous: number };

/**
 * `used`: units that were used already; with 0, one is taken if there is room. Answers the counts before.
 * @throws StoreUnavailable
 */
export type SharedCounts = (key: string, window: Window, nowMs: number, used: number) => Promise<Counts>;

type Waiting = {
  key: string;
  window: Window;
  nowMs: number;
  used: number;
  resolve(counts: Counts): void;
  reject(cause: unknown): void;
};

/** Counters shared by all replicas; all calls of one turn of the event loop travel as one command. */
export function redisCounts(
  redis: RedisStore,
  prefix: string,
  breaker: Breaker = createBreaker({ patienceMs: 100 }),
): SharedCounts {
  redis.client.defineCommand('countCapacity', { lua: COUNT });
  let batch: Waiting[] = [];

  const flush = () => {
    const calls = batch;
    batch = [];
    const keys: string[] = [];
    const numbers: number[] = [];
    for (const { key, window, nowMs, used } of calls) {
      const bucket = Math.floor(nowMs / window.windowMs);
      keys.push(`${prefix}${key}:${bucket}`, `${prefix}${key}:${bucket - 1}`);
      numbers.push(window.limit, window.windowMs, window.windowMs - (nowMs % window.windowMs), used);
    }
    breaker
      .run(() => redis.run((client: Redis) => client.countCapacity(keys.length, ...keys, ...numbers)))
      .then(
        (counts) =>
          calls.forEach(({ resolve }, i) => {
            resolve({ current: counts[2 * i] ?? 0, previous: counts[2 * i + 1] ?? 0 });
          }),
        (cause) => {
          for (const { reject } of calls) reject(cause);
        },
      );
  };

  return (key, window, nowMs, used) =>
    new Promise((resolve, reject) => {
      if (batch.push({ key, window, nowMs, used, resolve, reject }) === 1) setImmediate(flush);
    });
}
