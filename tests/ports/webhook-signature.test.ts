import { createHmac } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import {
  createWebhookVerifier,
  signWebhook,
  verifyWebhook,
  type WebhookToVerify,
} from '../../src/adapters/webhook-signature.ts';

const CURRENT = 'current-key-0123456789-abcdefghij';
const NEXT = 'upcoming-key-9876543210-jihgfedcba';
const T = 1_750_000_000;
const rawBody = '{"event_id":"e1","sequence":1}';

const signed = (secret = CURRENT, over: Partial<WebhookToVerify> = {}): WebhookToVerify => ({
  timestamp: String(T),
  signature: signWebhook({ secret, timestamp: String(T), rawBody }),
  rawBody,
  nowMs: T * 1000,
  ...over,
});

describe('a webhook signature', () => {
  const verify = createWebhookVerifier({ secrets: [CURRENT] });

  test('is HMAC-SHA-256 over timestamp, dot and raw body', () => {
    const hex = createHmac('sha256', CURRENT).update(`${T}.${rawBody}`).digest('hex');
    expect(signed().signature).toBe(`v1=${hex}`);
    expect(verify(signed())).toBe(true);
  });

  test('covers bytes, so that a text and its bytes are the same content', () => {
    expect(verify(signed(CURRENT, { rawBody: Buffer.from(rawBody) }))).toBe(true);
  });

  test.each([
    [-300_000, true],
    [300_000, true],
    [-300_001, false],
    [300_001, false],
    [0, true],
  ])('read %i ms after it was made is accepted: %s', (lateMs, accepted) => {
    expect(verify(signed(CURRENT, { nowMs: T * 1000 + lateMs }))).toBe(accepted);
  });

  test('does not verify another body, another timestamp or a reordered body', () => {
    expect(verify(signed(CURRENT, { rawBody: `${rawBody} ` }))).toBe(false);
    expect(verify(signed(CURRENT, { rawBody: '{"sequence":1,"event_id":"e1"}' }))).toBe(false);
    expect(verify(signed(CURRENT, { timestamp: String(T + 1) }))).toBe(false);
  });

  test('the dot cannot move between timestamp and body', () => {
    const signature = signWebhook({ secret: CURRENT, timestamp: '1', rawBody: '75.x' });
    expect(verify({ timestamp: '1.75', signature, rawBody: 'x', nowMs: 1_000 })).toBe(false);
  });

  test.each<[string, Partial<WebhookToVerify>]>([
    ['no signature', { signature: undefined }],
    ['an empty signature', { signature: '' }],
    ['the bare digest', { signature: signed().signature?.slice(3) as string }],
    ['another version', { signature: (signed().signature as string).replace('v1', 'v2') }],
    ['a truncated digest', { signature: (signed().signature as string).slice(0, -2) }],
    ['upper-case digits', { signature: (signed().signature as string).toUpperCase() }],
    ['a repeated header', { signature: [signed().signature as string, signed().signature as string] }],
    ['a joined repeated header', { signature: `${signed().signature}, ${signed().signature}` }],
    ['no timestamp', { timestamp: undefined }],
    ['a repeated timestamp', { timestamp: [String(T), String(T)] }],
    ['milliseconds', { timestamp: `${T}000` }],
    ['a signed timestamp', { timestamp: `+${T}` }],
    ['an exponent', { timestamp: '1.75e9' }],
    ['a clock that is not a number', { nowMs: Number.NaN }],
  ])('is refused with %s', (_name, over) => {
    expect(verify(signed(CURRENT, over))).toBe(false);
  });

  test('of an unknown secret, or of the empty one, is refused', () => {
    expect(verify(signed(NEXT))).toBe(false);
    const empty = createHmac('sha256', '').update(`${T}.${rawBody}`).digest('hex');
    expect(verify(signed(CURRENT, { signature: `v1=${empty}` }))).toBe(false);
  });

  test('verifies under both secrets of a rotation, and under the old one no more afterwards', () => {
    const during = createWebhookVerifier({ secrets: [CURRENT, NEXT] });
    expect(during(signed(CURRENT))).toBe(true);
    expect(during(signed(NEXT))).toBe(true);
    const retired = createWebhookVerifier({ secrets: [NEXT] });
    expect(retired(signed(CURRENT))).toBe(false);
    expect(retired(signed(NEXT))).toBe(true);
  });

  test('needs secrets worth the name, each listed once', () => {
    expect(() => createWebhookVerifier({ secrets: [] })).toThrow(/at least one/);
    expect(() => verifyWebhook({ ...signed(), secrets: [] })).toThrow(/at least one/);
    expect(() => createWebhookVerifier({ secrets: [''] })).toThrow(/32 bytes/);
    expect(() => createWebhookVerifier({ secrets: [CURRENT, 'short'] })).toThrow(/32 bytes/);
    expect(() => createWebhookVerifier({ secrets: [CURRENT, CURRENT] })).toThrow(/twice/);
    expect(() => signWebhook({ secret: '', timestamp: '1', rawBody })).toThrow(/32 bytes/);
  });

  test('the one-shot check takes another tolerance', () => {
    const late = signed(CURRENT, { nowMs: T * 1000 + 11_000 });
    expect(verifyWebhook({ ...late, secrets: [CURRENT] })).toBe(true);
    expect(verifyWebhook({ ...late, secrets: [CURRENT], toleranceS: 10 })).toBe(false);
  });
});
