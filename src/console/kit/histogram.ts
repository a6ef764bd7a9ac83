/** Lengths of stays in few numbers: buckets that grow by √2 from 100 ms to months, so that histograms can be added. Pure. */

export const BUCKETS = 56;
const FIRST_MS = 100;

export const bucketOf = (ms: number): number =>
  Math.min(BUCKETS - 1, Math.max(0, Math.floor(2 * Math.log2(Math.max(1, ms) / FIRST_MS))));

const lower = (bucket: number): number => (bucket === 0 ? 0 : FIRST_MS * 2 ** (bucket / 2));

export const noStays = (): number[] => new Array(BUCKETS).fill(0);

export const sum = (stays: readonly number[]): number => stays.reduce((a, b) => a + b, 0);

/** Milliseconds below which the share `q` of the stays lies, within a bucket (±20 %); null without stays. */
export function quantile(stays: readonly number[], q: number): number | null {
  const wanted = sum(stays) * q;
  if (wanted === 0) return null;
  let before = 0;
  for (const [bucket, n] of stays.entries()) {
    if (n > 0 && before + n >= wanted) {
      const [from, to] = [lower(bucket), FIRST_MS * 2 ** ((bucket + 1) / 2)];
      return from + (to - from) * ((wanted - before) / n);
    }
    before += n;
  }
  return null;
}
