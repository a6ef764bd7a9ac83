/**
 * HMAC-SHA-256 over `timestamp.body`, the same for what we send and what we accept.
 * Verification works on the raw bytes: a body must not be parsed before it, and an absent secret is never "no check".
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

/** A 256-bit key in whatever encoding has at least as many bytes. */
const MIN_SECRET_BYTES = 32;

export type SignedContent = {
  /** Seconds since the epoch, as sent in the header. */
  timestamp: string;
  rawBody: string | Uint8Array;
};

const mac = (secret: string, { timestamp, rawBody }: SignedContent): Buffer =>
  createHmac('sha256', secret).update(`${timestamp}.`).update(rawBody).digest();

/** The header value: `v1=` and 64 hexadecimal digits. @throws Error when the secret is shorter than 32 bytes. */
export function signWebhook({ secret, ...content }: SignedContent & { secret: string }): string {
  requireStrong(secret);
  return `v1=${mac(secret, content).toString('hex')}`;
}

export type WebhookToVerify = {
  /** Header values as they came: repeated or missing headers are refused, not guessed. */
  timestamp: string | string[] | undefined;
  signature: string | string[] | undefined;
  rawBody: string | Uint8Array;
  nowMs: number;
};

/**
 * A check against every active secret (two during a rotation).
 * @throws Error when there is no secret, a short one, or one listed twice, which would outlive its retirement.
 */
export function createWebhookVerifier({
  secrets,
  toleranceS = 300,
}: {
  secrets: readonly string[];
  toleranceS?: number;
}): (webhook: WebhookToVerify) => boolean {
  if (secrets.length === 0) throw new Error('A webhook needs at least one secret');
  if (new Set(secrets).size !== secrets.length) throw new Error('A webhook secret is listed twice');
  secrets.forEach(requireStrong);

  return ({ timestamp, signature, rawBody, nowMs }) => {
    if (typeof timestamp !== 'string' || !/^\d{1,12}$/.test(timestamp)) return false;
    if (typeof signature !== 'string' || !/^v1=[0-9a-f]{64}$/.test(signature)) return false;
    if (!(Math.abs(nowMs - Number(timestamp) * 1000) <= toleranceS * 1000)) return false;
    const given = Buffer.from(signature.slice(3), 'hex');
    // Every secret is tried, so that the time does not tell which one is in use.
    return secrets
      .map((secret) => timingSafeEqual(given, mac(secret, { timestamp, rawBody })))
      .some((equal) => equal);
  };
}

/** One check with the secrets at hand; see `createWebhookVerifier`. */
export const verifyWebhook = ({
  secrets,
  toleranceS,
  ...webhook
}: WebhookToVerify & { secrets: readonly string[]; toleranceS?: number }): boolean =>
  createWebhookVerifier({ secrets, ...(toleranceS === undefined ? {} : { toleranceS }) })(webhook);

function requireStrong(secret: string): void {
  if (Buffer.byteLength(secret) < MIN_SECRET_BYTES) {
    throw new Error(`A webhook secret needs at least ${MIN_SECRET_BYTES} bytes`);
  }
}
