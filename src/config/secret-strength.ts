/** Whether a secret of the configuration is random enough. It names a reason, never the value. */

/** Texts that samples and tutorials hold. */
export const SAMPLE =
  /change.?me|your[-_ ]|super[-_ ]?secret|replace[-_ ]?me|placeholder|example|sample|insecure|default|password|qwerty|0123456789/i;

/** Why a secret is not one, or null. `bytes` are judged by spread: no random key has so few distinct values. */
export function weakness(value: string | Buffer): string | null {
  if (typeof value === 'string') {
    if (value.length < 32) return 'must be at least 32 characters of random text in production';
    if (SAMPLE.test(value)) return 'must not be a sample value in production';
  }
  const distinct = new Set<string | number>(value).size;
  const sequence =
    typeof value !== 'string' && value.every((byte, i) => byte === ((value[0] ?? 0) + i) % 256);
  if (distinct < 10 || sequence) return 'must be random in production';
  return null;
}
