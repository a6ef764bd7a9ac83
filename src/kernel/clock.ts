/** The one clock: real time plus an offset that only demo mode and tests move. Nothing else may read the time. */

export interface Clock {
  /** Milliseconds since the epoch. */
  now(): number;
  /** Adds to the offset; the clock never runs backwards through this. */
  advance(ms: number): void;
  offset(): number;
}

export function systemClock(initialOffsetMs = 0): Clock {
  let offset = initialOffsetMs;
  return {
    now: () => Date.now() + offset,
    advance: (ms) => {
      offset += ms;
    },
    offset: () => offset,
  };
}
