import { createHmac, randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createKeyring, type KeyPurpose } from '../../src/kernel/crypto/keyring.ts';

const PURPOSES: KeyPurpose[] = ['code', 'lookup', 'refresh', 'flow', 'kek', 'idempotency', 'cursor'];
const FIXED = Buffer.from('9f3c1e7a55d2046b8e71c0ffa2394db817e6035a9c4b2f80d16e7733ba58c94d', 'hex');

function thrown(action: () => unknown): unknown {
  try {
    action();
  } catch (error) {
    return error;
  }
  return undefined;
}

describe('master key', () => {
  test.each([
    ['one byte short', randomBytes(31)],
    ['one byte long', randomBytes(33)],
    ['empty', Buffer.alloc(0)],
    ['all zero', Buffer.alloc(32)],
    ['one byte repeated', Buffer.alloc(32, 0xa7)],
    ['a short pattern repeated', Buffer.alloc(32, 'deadbeef', 'hex')],
    ['a counting sequence', Buffer.from(Array.from({ length: 32 }, (_, i) => i))],
    ['a typed sample', Buffer.from('please-change-me-to-32-characters').subarray(0, 32)],
  ])('is refused when it is %s, without being echoed', (_, key) => {
    const error = thrown(() => createKeyring(key));
    expect(error).toBeInstanceOf(Error);
    if (key.length > 0)
      for (const spelling of ['hex', 'base64', 'latin1'] as const)
        expect((error as Error).message).not.toContain(key.toString(spelling));
  });

  test('gives every purpose a key of its own, the same after a restart', () => {
    const first = createKeyring(FIXED);
    const again = createKeyring(Buffer.from(FIXED));
    const keys = PURPOSES.map((purpose) => first.key(purpose).toString('hex'));
    expect(new Set([...keys, FIXED.toString('hex')]).size).toBe(PURPOSES.length + 1);
    expect(keys.every((key) => key.length === 64)).toBe(true);
    expect(PURPOSES.map((purpose) => again.key(purpose).toString('hex'))).toEqual(keys);
    expect(createKeyring(randomBytes(32)).key('code').toString('hex')).not.toBe(keys[0]);
  });
});

test('the derivation is HKDF-SHA-256 and stays so, or everything stored would be orphaned', () => {
  const hmac = (key: string | Buffer, data: string | Buffer) =>
    createHmac('sha256', key).update(data).digest();
  const prk = hmac('vestibule/keyring/1', FIXED);
  for (const purpose of PURPOSES)
    expect(createKeyring(FIXED).key(purpose)).toEqual(hmac(prk, `${purpose}\u0001`));
});

describe('lookups', () => {
  const ring = createKeyring(FIXED);

  test('hash to 64 hex digits that depend on kind, value and key', () => {
    expect(ring.lookupHash('email', 'a@example.com')).toMatch(/^[0-9a-f]{64}$/);
    const variants = [
      ring.lookupHash('email', 'a@example.com'),
      ring.lookupHash('phone', 'a@example.com'),
      ring.lookupHash('email', 'b@example.com'),
      createKeyring(randomBytes(32)).lookupHash('email', 'a@example.com'),
    ];
    expect(new Set(variants).size).toBe(4);
    expect(ring.lookupHash('a', 'bc')).not.toBe(ring.lookupHash('ab', 'c'));
  });

  test('give a stable UUIDv8 that is no prefix of the stored hash', () => {
    const id = ring.lookupId('phone', '+15555550100');
    expect(id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    expect(createKeyring(FIXED).lookupId('phone', '+15555550100')).toBe(id);
    expect(ring.lookupId('email', '+15555550100')).not.toBe(id);
    expect(ring.lookupHash('phone', '+15555550100').slice(0, 8)).not.toBe(id.slice(0, 8));
  });
});
