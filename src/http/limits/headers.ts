/**
 * The RateLimit and RateLimit-Policy fields (draft-ietf-httpapi-ratelimit-headers-10, section 2 and 3).
 * A control always shows the same policy, whichever of its buckets is full.
 */
import type { Window } from '../../config/limit-numbers.ts';

/** `resetSeconds`: how long until room comes back. */
export function rateLimitHeaders(
  policy: string,
  { limit, windowMs }: Window,
  { remaining, resetSeconds }: { remaining: number; resetSeconds: number },
): Record<string, string> {
  return {
    'ratelimit-policy': `"${policy}";q=${limit};w=${Math.ceil(windowMs / 1000)}`,
    ratelimit: `"${policy}";r=${remaining};t=${resetSeconds}`,
  };
}

/** Seconds, rounded up to the step, never less than the real wait and never 0. */
export function retryAfterSeconds(waitMs: number, stepMs: number): number {
  const step = Math.max(1, stepMs);
  return Math.max(1, Math.ceil((Math.ceil(waitMs / step) * step) / 1000));
}
