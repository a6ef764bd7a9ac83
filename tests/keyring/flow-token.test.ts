import { createHash, randomBytes } from 'node:crypto';
import { v7 } from 'uuid';
import { expect, test } from 'vitest';
import { flowTokenFor, hashToken, parseFlowToken } from '../../src/kernel/crypto/flow-token.ts';
import { createKeyring } from '../../src/kernel/crypto/keyring.ts';

const ring = createKeyring(randomBytes(32));
const flowId = v7();
const token = ring.flowTokenFor(flowId, 0);

test('a flow token names its flow and can be derived again', () => {
  expect(parseFlowToken(token)).toEqual({ flowId, secret: token.slice(23) });
  expect(flowTokenFor(ring.key('flow'), flowId, 0)).toBe(token);
});

test('another flow, generation or key gives another secret', () => {
  const secrets = [
    token,
    ring.flowTokenFor(flowId, 1),
    ring.flowTokenFor(v7(), 0),
    createKeyring(randomBytes(32)).flowTokenFor(flowId, 0),
  ].map((text) => parseFlowToken(text)!.secret);
  expect(new Set(secrets).size).toBe(4);
});

test.each([
  ['empty', ''],
  ['no dot', token.replace('.', '-')],
  ['padded', `${token}=`],
  ['with a newline', `${token}\n`],
  ['short', token.slice(0, -1)],
  ['three parts', `${token}.${token}`],
  ['not base64url', `${token.slice(0, 30)}*${token.slice(31)}`],
  ['standard base64', `${token.slice(0, 30)}/${token.slice(31)}`],
  ['an id that is no UUID', `${Buffer.alloc(16, 0x11).toString('base64url')}.${token.slice(23)}`],
])('a token that is %s is not read', (_, text) => {
  expect(parseFlowToken(text)).toBeNull();
});

test('unused trailing bits cannot spell the same token twice', () => {
  const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
  const last = alphabet.indexOf(token.at(-1)!);
  const twins = [1, 2, 3].map((bit) => token.slice(0, -1) + alphabet[last ^ bit]);
  expect(Buffer.from(twins[0]!.slice(23), 'base64url')).toEqual(Buffer.from(token.slice(23), 'base64url'));
  for (const twin of twins) expect(parseFlowToken(twin)).toBeNull();
});

test('what is stored is the SHA-256 of the text', () => {
  expect(hashToken(token)).toBe(createHash('sha256').update(token).digest('hex'));
});
