import { createHash, randomBytes } from 'node:crypto';
import { v7 } from 'uuid';
import { expect, test } from 'vitest';
import {
  authenticRefresh,
  parseRefreshToken,
  refreshHash,
  refreshTokenFor,
} from '../../src/kernel/tokens/refresh-secret.ts';

const key = randomBytes(32);
const sessionId = v7();
const token = refreshTokenFor(key, sessionId, 7);

test('a refresh token carries session and generation and 256 bits nobody else can make', () => {
  const parsed = parseRefreshToken(token)!;
  expect(parsed).toEqual({ sessionId, generation: 7, token });
  expect(Buffer.from(token.split('.')[1]!, 'base64url')).toHaveLength(32);
  expect(authenticRefresh(key, parsed)).toBe(true);
  expect(authenticRefresh(randomBytes(32), parsed)).toBe(false);
});

test('the same generation always gives the same token, another one another secret', () => {
  expect(refreshTokenFor(key, sessionId, 7)).toBe(token);
  const secrets = [0, 1, 6, 7, 8, 2 ** 32 - 1].map(
    (generation) => refreshTokenFor(key, sessionId, generation).split('.')[1],
  );
  expect(new Set(secrets).size).toBe(secrets.length);
});

test('an id moved to another generation or session keeps no authentic secret', () => {
  const secret = token.split('.')[1]!;
  for (const donor of [refreshTokenFor(key, sessionId, 8), refreshTokenFor(key, v7(), 7)]) {
    const forged = parseRefreshToken(`${donor.split('.')[0]}.${secret}`)!;
    expect(forged).not.toBeNull();
    expect(authenticRefresh(key, forged)).toBe(false);
  }
});

test.each([
  ['empty', ''],
  ['without a dot', token.replace('.', '_')],
  ['short', token.slice(0, -1)],
  ['long', `${token}A`],
  ['padded', `${token.slice(0, -1)}=`],
  ['in standard base64', `${token.slice(0, 40)}+${token.slice(41)}`],
  ['a session that is no UUID', `${Buffer.alloc(20, 0x11).toString('base64url')}.${token.split('.')[1]}`],
])('text that is %s is not read', (_, text) => {
  expect(parseRefreshToken(text)).toBeNull();
});

test('a generation outside 32 bits is refused instead of wrapping round', () => {
  for (const generation of [-1, 2 ** 32])
    expect(() => refreshTokenFor(key, sessionId, generation)).toThrow(RangeError);
});

test('what is stored is the SHA-256 of the text', () => {
  expect(refreshHash(token)).toBe(createHash('sha256').update(token).digest('hex'));
});
