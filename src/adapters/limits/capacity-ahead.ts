/**
 * Far below its limit a key is counted here and told to the shared counters a moment later, so that no request waits for
 * Redis to learn that there is plenty of room; near the limit every unit is asked for. It protects capacity only: what
 * replicas have not told each other yet is a moment's worth of requests.
 */

import type { Window } from '../../config/limit-numbers.ts';
import type { RedisStore } from '../redis.ts';
import { type CapacityCounter, type Counts, judge, redisCounts, type SharedCounts } from './capacity.ts';

/** What is told, and how old it may be. */
const TELL_MS = 25;
const FRESH_MS = 500;
/** Below this part of its limit a key has plenty of room. */
const PLENTY = 0.5;
/** A limit below this has no room for what is not told yet. */
const SMALL = 50;
const MAX_KEYS = 10_000;

type Known = Counts & { window: Window; bucket: number; untold: number; at: number };

export function countAhead(shared: SharedCounts): CapacityCounter {
  const known = new Map<string, Known>();
  /** Keys with something to tell, so that nobody walks through the others. */
  const untold = new Set<string>();

  const learn = (key: string, window: Window, nowMs: number, counts: Counts, taken: number) => {
    if (known.size >= MAX_KEYS) known.clear();
    const bucket = Math.floor(nowMs / window.windowMs);
    const current = counts.current + taken;
    known.set(key, { ...counts, current, window, bucket, untold: known.get(key)?.untold ?? 0, at: nowMs });
  };

  /** Units that cannot be told are forgotten: the next call asks, and learns that the counters are away. */
  const tell = (key: string, one: Known) => {
    const { untold: units, window, at } = one;
    one.untold = 0;
    untold.delete(key);
    if (units === 0) return;
    shared(key, window, at, units).then(
      (counts) => learn(key, window, at, counts, units),
      () => known.delete(key),
    );
  };
  const tellAll = () => {
    for (const key of untold) {
      const one = known.get(key);
      if (one) tell(key, one);
    }
    untold.clear();
  };

  return async (key, window, nowMs) => {
    const one = known.get(key);
    const bucket = Math.floor(nowMs / window.windowMs);
    if (one && window.limit >= SMALL && one.bucket === bucket && nowMs - one.at < FRESH_MS) {
      const count = judge(window, nowMs, one.current + one.untold, one.previous);
      if (count.allowed && count.remaining > window.limit * PLENTY) {
        one.untold += 1;
        if (untold.size === 0) setTimeout(tellAll, TELL_MS).unref();
        untold.add(key);
        return count;
      }
    }
    // Both travel together and in this order, so that the answer knows of what was used here.
    if (one) tell(key, one);
    const counts = await shared(key, window, nowMs, 0);
    const count = judge(window, nowMs, counts.current, counts.previous);
    learn(key, window, nowMs, counts, count.allowed ? 1 : 0);
    return count;
  };
}

/** The counter of a process that shares its limits with others through Redis. */
export const redisCapacity = (redis: RedisStore, prefix: string): CapacityCounter =>
  countAhead(redisCounts(redis, prefix));
