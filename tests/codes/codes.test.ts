import { randomBytes } from 'node:crypto';
import { v7 } from 'uuid';
import { describe, expect, test } from 'vitest';
import { codeFor, codeMatches } from '../../src/kernel/crypto/codes.ts';

const key = Buffer.alloc(32, 'one fixed key for a fixed sample');
const flowId = '0197a5d2-5c1e-7000-8000-000000000001';

describe('codeFor', () => {
  test('every digit position is uniform over 100,000 codes', () => {
    const counts = Array.from({ length: 6 }, () => new Array<number>(10).fill(0));
    for (let counter = 0; counter < 100_000; counter++) {
      const code = codeFor(key, { flowId, purpose: 'signup', counter });
      for (let at = 0; at < 6; at++) counts[at]![code.charCodeAt(at) - 48]! += 1;
    }
    for (const position of counts) {
      const chiSquare = position.reduce((sum, seen) => sum + (seen - 10_000) ** 2 / 10_000, 0);
      // 9 degrees of freedom: above 27.88 once in 1000; the sample is fixed, so this never flickers.
      expect(chiSquare).toBeLessThan(27.88);
    }
  });

  test('always has six digits, leading zeros kept', () => {
    const codes = Array.from({ length: 2000 }, (_, counter) =>
      codeFor(key, { flowId, purpose: 'signup', counter }),
    );
    expect(codes.every((code) => /^\d{6}$/.test(code))).toBe(true);
    expect(codes.some((code) => code.startsWith('0'))).toBe(true);
  });

  test('is the same again for the same flow, purpose and counter', () => {
    const scope = { flowId, purpose: 'reset', counter: 3 };
    expect(codeFor(Buffer.from(key), { ...scope })).toBe(codeFor(key, scope));
  });

  test.each([
    ['flow', (i: number) => ({ flowId: v7({ msecs: i }), purpose: 'signup', counter: 1 })],
    ['purpose', (i: number) => ({ flowId, purpose: `purpose-${i}`, counter: 1 })],
    ['counter', (i: number) => ({ flowId, purpose: 'signup', counter: i })],
  ])('another %s gives an unrelated code', (_, scope) => {
    const codes = new Set(Array.from({ length: 1000 }, (_, i) => codeFor(key, scope(i))));
    // 1000 draws from 10^6 collide about once in every two thousand draws.
    expect(codes.size).toBeGreaterThan(990);
  });

  test('parts cannot slide into each other', () => {
    expect(codeFor(key, { flowId: 'a', purpose: 'b1', counter: 1 })).not.toBe(
      codeFor(key, { flowId: 'a', purpose: 'b', counter: 11 }),
    );
  });

  test('another key gives another series', () => {
    const series = (secret: Buffer) =>
      [1, 2, 3, 4].map((counter) => codeFor(secret, { flowId, purpose: 'signup', counter })).join();
    expect(series(randomBytes(32))).not.toBe(series(key));
  });
});

describe('codeMatches', () => {
  test('accepts the code and nothing near it', () => {
    expect(codeMatches('012345', '012345')).toBe(true);
    for (const wrong of ['012346', '12345', '0123456', '012345 ', '', '０12345'])
      expect(codeMatches('012345', wrong)).toBe(false);
  });
});
