/** The fast HMAC is the real one. */
import { createHmac, randomBytes } from 'node:crypto';
import { expect, test } from 'vitest';
import { hmacSha256 } from '../../src/kernel/crypto/hmac.ts';

test('equals HMAC-SHA-256 of the platform for keys and messages of every length', () => {
  for (const keyLength of [0, 1, 32, 63, 64, 65, 200]) {
    const key = randomBytes(keyLength);
    for (const length of [0, 1, 55, 64, 300]) {
      const message = randomBytes(length);
      expect(hmacSha256(key, message)).toEqual(createHmac('sha256', key).update(message).digest());
    }
    expect(hmacSha256(key, 'né')).toEqual(createHmac('sha256', key).update('né').digest());
  }
});
