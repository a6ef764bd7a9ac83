/**
 * How a control behaves when its counters are out of reach. What limits guessing, spending or granting rights
 * refuses (closed); what limits capacity goes on with counters of its own (open); nothing does so silently.
 */

import { createBreaker, StoreUnavailable } from '../../adapters/breaker.ts';
import {
  type LimitRule,
  type LimitStore,
  type LimitVerdict,
  memoryLimitStore,
} from '../../adapters/limits/store.ts';
import type { Window } from '../../config/limit-numbers.ts';
import type { Clock } from '../../kernel/clock.ts';
import { Problem } from '../../kernel/problems.ts';
import { rateLimitHeaders, retryAfterSeconds } from './headers.ts';
import type { Reports } from './reports.ts';

export type Control = {
  name: string;
  rules: LimitRule[];
  /** The one window shown in the RateLimit fields. */
  shown: Window;
};

/** `suppressed`: answer as usual but do not send. `capped`: the names of the caps that said so. */
export type Decision = { suppressed: boolean; capped: string[] };

/** All throw Problem `rate_limited`. */
export type Modes = {
  /** Without counters: Problem `dependency_unavailable`. */
  closed(control: Control): Promise<Decision>;
  /** Without counters: half the limit, counted by this process; `dependency_unavailable` when that fails too. */
  bounded(control: Control): Promise<Decision>;
  /** Without counters, or when they take longer than 100 ms: the limit, counted by this process. */
  open(control: Control): Promise<Decision>;
};

export function createModes(options: {
  store: LimitStore;
  clock: Clock;
  retryStepMs: number;
  reports: Reports;
}): Modes {
  const { store, clock, retryStepMs, reports } = options;
  const local = memoryLimitStore({ maxKeys: 50_000 });
  const quick = createBreaker({ patienceMs: 100 });

  const degraded = (control: Control, cause: unknown): StoreUnavailable => {
    if (!(cause instanceof StoreUnavailable)) throw cause;
    reports.degraded(control.name, cause);
    return cause;
  };

  const counted = async (
    control: Control,
    take: () => Promise<LimitVerdict>,
  ): Promise<LimitVerdict | StoreUnavailable> => {
    try {
      return await take();
    } catch (cause) {
      return degraded(control, cause);
    }
  };
  const shared = ({ rules }: Control) => store.take(rules, clock.now());
  const own = (control: Control) => counted(control, () => local.take(control.rules, clock.now()));

  const settle = (control: Control, verdict: LimitVerdict): Decision => {
    if (!verdict.allowed) throw tooMany(control, verdict.retryAfterMs, retryStepMs);
    for (const rule of verdict.capped) reports.capped(rule);
    return { suppressed: verdict.suppressed, capped: verdict.capped.map((rule) => rule.name) };
  };

  return {
    async closed(control) {
      const verdict = await counted(control, () => shared(control));
      if (verdict instanceof StoreUnavailable) throw unavailable(verdict);
      return settle(control, verdict);
    },
    async bounded(control) {
      const verdict = await counted(control, () => shared(control));
      if (!(verdict instanceof StoreUnavailable)) return settle(control, verdict);
      const second = await own({ ...control, rules: control.rules.map(halved) });
      if (second instanceof StoreUnavailable) throw unavailable(second);
      return settle(control, second);
    },
    async open(control) {
      const verdict = await counted(control, () => quick.run(() => shared(control)));
      if (!(verdict instanceof StoreUnavailable)) return settle(control, verdict);
      const second = await own(control);
      if (second instanceof StoreUnavailable) return { suppressed: false, capped: [] };
      return settle(control, second);
    },
  };
}

const halved = (rule: LimitRule): LimitRule => ({ ...rule, limit: Math.max(1, Math.floor(rule.limit / 2)) });

function tooMany(control: Control, waitMs: number, retryStepMs: number): Problem {
  const retryAfter = retryAfterSeconds(waitMs, retryStepMs);
  const headers = rateLimitHeaders(control.name, control.shown, { remaining: 0, resetSeconds: retryAfter });
  return new Problem('rate_limited', { retryAfter, headers });
}

/** Spread over 3 to 7 s, so that the callers of an outage do not come back together. */
function unavailable(cause: StoreUnavailable): Problem {
  return new Problem('dependency_unavailable', { retryAfter: 3 + Math.floor(Math.random() * 5) }, { cause });
}
