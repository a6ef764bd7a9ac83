/** X-Forwarded-For as real proxies write it, seen through the limit that every network has. */
import { afterEach, expect, test } from 'vitest';
import { createTestApp } from '../support/app.ts';

const cleanup: (() => unknown)[] = [];
afterEach(async () => {
  for (const undo of cleanup.splice(0).reverse()) await undo();
});

async function limited() {
  const lines: string[] = [];
  const app = await createTestApp({
    env: {
      TRUST_PROXY: '127.0.0.1',
      LIMIT_NETWORK: '3/1h',
      REDIS_URL: '',
      LOG_LEVEL: 'warn',
      LOG_FORMAT: 'json',
    },
    logStream: { write: (line) => void lines.push(line) },
  });
  cleanup.push(() => app.close());
  const from = async (forwarded: string) =>
    (await app.call('GET', '/', { headers: { 'x-forwarded-for': forwarded } })).status;
  const warnings = () => lines.filter((line) => line.includes('X-Forwarded-For'));
  return { from, warnings };
}

test.each([
  ['203.0.113.7:50001', '203.0.113.7:50002', '203.0.113.8:50001'],
  ['[2001:db9::1]:50001', '[2001:db9::1]', '[2001:db9:0:1::1]:50001'],
  ['"[2001:db9::1]:50001"', '2001:db9::1', '198.51.100.1, 203.0.113.8:1'],
])('%s and %s are one person, %s is another', async (one, same, other) => {
  const { from, warnings } = await limited();
  expect([await from(one), await from(same), await from(one), await from(same)]).toEqual([
    200, 200, 200, 429,
  ]);
  expect(await from(other)).toBe(200);
  expect(warnings()).toEqual([]);
});

test('what a caller writes before the address that the proxy adds changes nothing', async () => {
  const { from } = await limited();
  const seen = [];
  for (const forged of ['unknown', '1.1.1.1', '[::1', '2.2.2.2:1'])
    seen.push(await from(`${forged}, 203.0.113.7:9`));
  expect(seen).toEqual([200, 200, 200, 429]);
});

test('what the proxy sends unreadable is warned of once and is not one bucket for all', async () => {
  const { from, warnings } = await limited();
  const seen = await Promise.all(
    Array.from({ length: 20 }, (_, i) => from(i % 2 ? 'unknown' : '203.0.113.7, _hidden')),
  );
  expect(new Set(seen)).toEqual(new Set([200]));
  expect(warnings()).toHaveLength(1);
});
