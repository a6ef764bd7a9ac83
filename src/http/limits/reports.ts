/**
 * What operators see when a control runs degraded or a spending cap bites: a count, and one log line a minute; of a cap
 * with an alarm, one error per window and a mark in the console until the window is over.
 */

import type { LimitRule } from '../../adapters/limits/store.ts';
import type { Clock } from '../../kernel/clock.ts';

export type LimitLog = {
  warn(details: object, message: string): void;
  error(details: object, message: string): void;
};

export type Reports = {
  /** A control could not reach its counters. */
  degraded(control: string, cause: Error): void;
  /** A cap suppressed something. */
  capped(rule: LimitRule): void;
  /** Messages of the alarms raised within their rule's window, in this process. */
  alarms(): string[];
  /** Decisions taken without the shared counters since start, by control. */
  counts(): Record<string, number>;
};

/** Names are a closed set of ours (controls and rules), so the maps stay small. */
export function createReports({ clock, log }: { clock: Clock; log: LimitLog }): Reports {
  const counts = new Map<string, number>();
  const lastLogged = new Map<string, number>();

  const alarmsUntil = new Map<string, number>();

  const onceIn = (spanMs: number, subject: string, write: () => void) => {
    const now = clock.now();
    if (now - (lastLogged.get(subject) ?? Number.NEGATIVE_INFINITY) < spanMs) return;
    lastLogged.set(subject, now);
    write();
  };

  return {
    degraded(control, cause) {
      counts.set(control, (counts.get(control) ?? 0) + 1);
      onceIn(60_000, `degraded ${control}`, () =>
        log.warn({ control, reason: cause.message }, 'rate limit decided without its shared counters'),
      );
    },
    capped({ name, alarm, windowMs }) {
      if (alarm === undefined) {
        const message = 'sending cap reached: accepted but not sent';
        onceIn(60_000, `capped ${name}`, () => log.warn({ rule: name }, message));
        return;
      }
      alarmsUntil.set(alarm, clock.now() + windowMs);
      onceIn(windowMs, `alarm ${name} ${alarm}`, () => log.error({ rule: name, windowMs }, alarm));
    },
    alarms: () => [...alarmsUntil].filter(([, until]) => clock.now() < until).map(([message]) => message),
    counts: () => Object.fromEntries(counts),
  };
}
