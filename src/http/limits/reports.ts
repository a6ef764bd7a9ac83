/** What operators see when a control runs degraded or a spending cap bites: a count, and one log line a minute. */
import type { Clock } from '../../kernel/clock.ts';

export type LimitLog = { warn(details: object, message: string): void };

export type Reports = {
  /** A control could not reach its counters. */
  degraded(control: string, cause: Error): void;
  /** A cap suppressed something. */
  capped(rule: string): void;
  /** Decisions taken without the shared counters since start, by control. */
  counts(): Record<string, number>;
};

/** Names are a closed set of ours (controls and rules), so the maps stay small. */
export function createReports({ clock, log }: { clock: Clock; log: LimitLog }): Reports {
  const counts = new Map<string, number>();
  const lastLogged = new Map<string, number>();

  const oncePerMinute = (subject: string, write: () => void) => {
    const now = clock.now();
    if (now - (lastLogged.get(subject) ?? Number.NEGATIVE_INFINITY) < 60_000) return;
    lastLogged.set(subject, now);
    write();
  };

  return {
    degraded(control, cause) {
      counts.set(control, (counts.get(control) ?? 0) + 1);
      oncePerMinute(`degraded ${control}`, () =>
        log.warn({ control, reason: cause.message }, 'rate limit decided without its shared counters'),
      );
    },
    capped(rule) {
      oncePerMinute(`capped ${rule}`, () => log.warn({ rule }, 'sending cap reached: accepted but not sent'));
    },
    counts: () => Object.fromEntries(counts),
  };
}
