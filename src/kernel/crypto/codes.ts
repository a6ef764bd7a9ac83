/**
 * One-time codes are derived, never stored (after RFC 4226): the same flow, purpose and counter always give the same
 * code, so nothing secret rests anywhere and a higher counter kills the code before it.
 * A code must never be logged or put into an event; the delivery derives it again.
 */
import { hash, timingSafeEqual } from 'node:crypto';
import { hmacSha256 } from './hmac.ts';

export type CodeScope = {
  flowId: string;
  /** What the code proves, for example `signup` or `reset`; a code of one purpose is wrong for any other. */
  purpose: string;
  /** Sends so far; the current one only is good. */
  counter: number;
};

/** Six digits, leading zeros kept. */
export function codeFor(key: Buffer, { flowId, purpose, counter }: CodeScope): string {
  const mac = hmacSha256(key, JSON.stringify([flowId, purpose, counter]));
  // RFC 4226's 31 bits would favour low codes by 1 in 2000; 64 bits leave a bias below 10^-13.
  return (mac.readBigUInt64BE() % 1_000_000n).toString().padStart(6, '0');
}

/** Constant-time comparison, also for texts of different length. */
export const codeMatches = (expected: string, submitted: string): boolean =>
  timingSafeEqual(hash('sha256', expected, 'buffer'), hash('sha256', submitted, 'buffer'));
