/** Times, durations and numbers as people read them. Pure. */

const UNITS: [string, number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

/** Two units at most: `2 d 4 h`, `3 min 12 s`, `640 ms`. */
export function duration(ms: number): string {
  const rest = Math.max(0, Math.round(ms));
  if (rest < 1000) return `${rest} ms`;
  if (rest < 10_000) return `${(rest / 1000).toFixed(1)} s`;
  const at = UNITS.findIndex(([, size]) => rest >= size);
  const [unit, size] = UNITS[at]!;
  const whole = Math.floor(rest / size);
  const next = UNITS[at + 1];
  const less = next ? Math.floor((rest - whole * size) / next[1]) : 0;
  return next && less > 0 ? `${whole} ${unit} ${less} ${next[0]}` : `${whole} ${unit}`;
}

export const count = (n: number): string => n.toLocaleString('en-US');

/** `2026-11-20 14:03:07` in UTC. */
export const stamp = (at: Date | number): string => new Date(at).toISOString().slice(0, 19).replace('T', ' ');

/** `14:03:07.123` in UTC. */
export const clockTime = (at: Date | number): string => new Date(at).toISOString().slice(11, 23);

export const percent = (part: number, whole: number): string =>
  whole === 0 ? '–' : `${((100 * part) / whole).toFixed(part === whole || part === 0 ? 0 : 1)} %`;

/** First and last characters of a UUIDv7: its tail is what differs between neighbours. */
export const shortId = (id: string): string => `${id.slice(0, 8)}…${id.slice(-6)}`;
