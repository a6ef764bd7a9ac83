import { generateKeyPairSync } from 'node:crypto';
import { calculateJwkThumbprint } from 'jose';
import { describe, expect, test } from 'vitest';
import { systemClock } from '../../src/kernel/clock.ts';
import {
  createKeyManager,
  generateSigningKey,
  importSigningKey,
  jwks,
} from '../../src/kernel/tokens/index.ts';
import { boxKms, GRANT, memoryStore, setUp, tokensWith } from './helpers.ts';

const pem = (
  pair: { privateKey: import('node:crypto').KeyObject },
  type: 'pkcs8' | 'pkcs1' | 'sec1' = 'pkcs8',
) => pair.privateKey.export({ format: 'pem', type }).toString();
const rsa = generateKeyPairSync('rsa', { modulusLength: 2048 });
const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const ed = generateKeyPairSync('ed25519');

describe('importing', () => {
  test.each([
    ['RSA PKCS #8', pem(rsa), 'RS256'],
    ['RSA PKCS #1', pem(rsa, 'pkcs1'), 'RS256'],
    ['P-256 PKCS #8', pem(ec), 'ES256'],
    ['P-256 SEC 1', pem(ec, 'sec1'), 'ES256'],
    ['Ed25519', pem(ed), 'EdDSA'],
  ])('%s: the type of the key decides the algorithm', async (_, text, alg) => {
    const key = await importSigningKey(text);
    expect(key.alg).toBe(alg);
    expect(key.kid).toBe(await calculateJwkThumbprint(key.publicJwk));
    expect(key.publicJwk).not.toHaveProperty('d');
  });

  test.each([
    ['short RSA', pem(generateKeyPairSync('rsa', { modulusLength: 1024 }))],
    ['another curve', pem(generateKeyPairSync('ec', { namedCurve: 'P-384' }))],
    ['a key for agreement', pem(generateKeyPairSync('x25519'))],
    ['a public key', rsa.publicKey.export({ format: 'pem', type: 'spki' }).toString()],
    [
      'an encrypted key',
      ed.privateKey.export({
        format: 'pem',
        type: 'pkcs8',
        cipher: 'aes-256-cbc',
        passphrase: 'x',
      }) as string,
    ],
    ['no key', 'change me'],
  ])('refuses %s without repeating it', async (_, text) => {
    const error = await importSigningKey(text).catch((caught) => caught as Error);
    expect(error).toBeInstanceOf(Error);
    expect((error as Error).message).not.toContain(text.slice(30, 60) || text);
  });
});

test('generated RSA keys have 2048 bits, or 3072 when asked', async () => {
  const bits = async (modulusLength?: 2048 | 3072) => {
    const { publicJwk } = await generateSigningKey('RS256', modulusLength ? { modulusLength } : {});
    return Buffer.from(publicJwk.n!, 'base64url').length * 8;
  };
  expect(await bits()).toBe(2048);
  expect(await bits(3072)).toBe(3072);
});

describe('key manager', () => {
  const MAX_AGE = 300_000;

  test('creates one key and seals it; the next start finds it again', async () => {
    const { store, kms, clock, manager } = await setUp();
    expect([...store.rows.values()].map(({ status }) => status)).toEqual(['active']);
    const { kid } = manager.keys().signing;
    expect(JSON.stringify([...store.rows.values()])).not.toContain('"d"');
    const again = await createKeyManager({ store, kms, clock, alg: 'ES256' });
    expect(again.keys().signing.kid).toBe(kid);
    await expect(createKeyManager({ store, kms: boxKms(), clock, alg: 'ES256' })).rejects.toThrow();
  });

  test('replicas that start together agree on one active key', async () => {
    const store = memoryStore();
    const kms = boxKms();
    const clock = systemClock();
    const managers = await Promise.all(
      [1, 2, 3, 4].map(() => createKeyManager({ store, kms, clock, alg: 'ES256' })),
    );
    expect(new Set(managers.map((manager) => manager.keys().signing.kid)).size).toBe(1);
    await Promise.all(managers.map((manager) => manager.refresh()));
    expect([...store.rows.values()].map(({ status }) => status).sort()).toEqual(['active', 'next']);
  });

  test('the private key in memory cannot be exported', async () => {
    const { manager } = await setUp();
    expect(manager.keys().signing.privateKey.extractable).toBe(false);
  });

  test('rotation refuses no valid token at any moment, and publishes each key before its first use', async () => {
    const { manager, clock, tokens, store, kms } = await setUp();
    await manager.refresh();
    const replica = await createKeyManager({ store, kms, clock, alg: 'ES256' });
    const elsewhere = tokensWith(replica, clock);
    const oldKid = manager.keys().signing.kid;

    await expect(manager.rotate()).rejects.toMatchObject({ code: 'conflict', extras: { retryAfter: 305 } });
    clock.advance(MAX_AGE + 5000);
    const published = jwks(manager.keys()).keys.map(({ kid }) => kid);
    const { token: old } = await tokens.issueAccessToken(GRANT);
    await manager.rotate();

    const newKid = manager.keys().signing.kid;
    expect(newKid).not.toBe(oldKid);
    expect(published).toContain(newKid);
    const { token: fresh } = await tokens.issueAccessToken(GRANT);
    // The replica has not refreshed yet: it must know the new key already, and its own old one must still do here.
    const { token: late } = await elsewhere.issueAccessToken(GRANT);
    for (const token of [old, fresh, late])
      for (const side of [tokens, elsewhere])
        await expect(side.verifyAccessToken(token)).resolves.toBeDefined();
    await replica.refresh();
    expect(replica.keys().signing.kid).toBe(newKid);

    // Most of the leeway: claims are whole seconds, and the test itself takes time.
    clock.advance(900_000 + 25_000);
    await manager.refresh();
    await expect(tokens.verifyAccessToken(late)).resolves.toBeDefined();
    clock.advance(MAX_AGE + 14_000);
    await manager.refresh();
    expect(manager.keys().verifying.has(oldKid)).toBe(false);
    await manager.rotate();
    expect(store.rows.get(oldKid)!.status).toBe('retired');
  });

  test('a retiring key verifies until exactly its time, is gone then, and only then retires', async () => {
    const store = memoryStore();
    let now = 1_790_000_000_000;
    const clock = { ...systemClock(), now: () => now };
    const manager = await createKeyManager({ store, kms: boxKms(), clock, alg: 'ES256' });
    await manager.refresh();
    const oldKid = manager.keys().signing.kid;
    // The next key becomes active no earlier than others must have seen it.
    now += MAX_AGE + 5000 - 1;
    await expect(manager.rotate()).rejects.toMatchObject({ code: 'conflict', extras: { retryAfter: 1 } });
    now += 1;
    await manager.rotate();
    const end = now + 900_000 + 30_000 + MAX_AGE + 5000;

    now = end - 1;
    await manager.refresh();
    expect(manager.keys().verifying.has(oldKid)).toBe(true);
    await manager.rotate();
    expect(store.rows.get(oldKid)!.status).toBe('retiring');
    now = end;
    await manager.refresh();
    expect(manager.keys().verifying.has(oldKid)).toBe(false);
    now = end - 1 + MAX_AGE + 5000;
    await manager.rotate();
    expect(store.rows.get(oldKid)!.status).toBe('retired');
  });

  test('a rotation at exactly the end of a retiring key retires it', async () => {
    const store = memoryStore();
    let now = 1_790_000_000_000;
    const clock = { ...systemClock(), now: () => now };
    const manager = await createKeyManager({ store, kms: boxKms(), clock, alg: 'ES256' });
    await manager.refresh();
    const oldKid = manager.keys().signing.kid;
    now += MAX_AGE + 5000;
    await manager.rotate();
    now += 900_000 + 30_000 + MAX_AGE + 5000;
    await manager.rotate();
    expect(store.rows.get(oldKid)!.status).toBe('retired');
  });

  test('rotating without a next key publishes one and asks for patience', async () => {
    const { manager, store } = await setUp();
    await expect(manager.rotate()).rejects.toMatchObject({ code: 'conflict', extras: { retryAfter: 305 } });
    expect([...store.rows.values()].map(({ status }) => status).sort()).toEqual(['active', 'next']);
  });

  test('two replicas rotating at once rotate once', async () => {
    const { manager, clock, store, kms } = await setUp();
    await manager.refresh();
    const replica = await createKeyManager({ store, kms, clock, alg: 'ES256' });
    clock.advance(MAX_AGE + 5000);
    await Promise.allSettled([manager.rotate(), replica.rotate()]);
    await Promise.all([manager.refresh(), replica.refresh()]);
    expect(replica.keys().signing.kid).toBe(manager.keys().signing.kid);
    expect([...store.rows.values()].map(({ status }) => status).sort()).toEqual([
      'active',
      'next',
      'retiring',
    ]);
  });

  test('a replica that died in the middle of a rotation is made good by the next refresh', async () => {
    const { manager, store, clock } = await setUp();
    await manager.refresh();
    const [active, next] = ['active', 'next'].map(
      (status) => [...store.rows.values()].find((row) => row.status === status)!.kid,
    );
    await store.setStatus(active!, 'retiring', clock.now());
    await manager.refresh();
    expect(manager.keys().signing.kid).toBe(next);
  });

  test('a store that fails leaves the keys as they were', async () => {
    const { manager, store, tokens } = await setUp();
    const { token } = await tokens.issueAccessToken(GRANT);
    store.load = () => Promise.reject(new Error('connection lost'));
    await expect(manager.refresh()).rejects.toThrow('connection lost');
    await expect(tokens.verifyAccessToken(token)).resolves.toBeDefined();
  });

  test('a withdrawn key is refused here at once and elsewhere after a refresh, and signing goes on', async () => {
    const { manager, clock, store, kms, tokens } = await setUp();
    const replica = await createKeyManager({ store, kms, clock, alg: 'ES256' });
    const elsewhere = tokensWith(replica, clock);
    const { token } = await tokens.issueAccessToken(GRANT);
    await elsewhere.verifyAccessToken(token);
    const { kid } = manager.keys().signing;
    await manager.withdraw(kid);
    await expect(tokens.verifyAccessToken(token)).rejects.toMatchObject({ code: 'invalid_token' });
    await replica.refresh();
    await expect(elsewhere.verifyAccessToken(token)).rejects.toMatchObject({ code: 'invalid_token' });
    expect(jwks(replica.keys()).keys.map((key) => key.kid)).not.toContain(kid);
    const { token: fresh } = await tokens.issueAccessToken(GRANT);
    await expect(tokens.verifyAccessToken(fresh)).resolves.toBeDefined();
    await expect(manager.withdraw('unknown')).rejects.toMatchObject({ code: 'not_found' });
  });

  test('a configured key is adopted once; old tokens stay good and later rotations stand', async () => {
    const { store, kms, clock, manager, tokens } = await setUp();
    const { token } = await tokens.issueAccessToken(GRANT);
    const options = { store, kms, clock, alg: 'ES256' as const, configuredPem: pem(rsa) };
    const adopted = await createKeyManager(options);
    expect(adopted.keys().signing).toMatchObject({
      alg: 'RS256',
      kid: (await importSigningKey(pem(rsa))).kid,
    });
    await expect(tokensWith(adopted, clock).verifyAccessToken(token)).resolves.toBeDefined();
    await manager.refresh();
    expect(manager.keys().signing.alg).toBe('RS256');

    await adopted.refresh();
    clock.advance(MAX_AGE + 5000);
    await adopted.rotate();
    const rotated = adopted.keys().signing.kid;
    expect((await createKeyManager(options)).keys().signing.kid).toBe(rotated);
  });

  test('a change of algorithm replaces the next key, not the active one', async () => {
    const { store, kms, clock, manager } = await setUp();
    await manager.refresh();
    const changed = await createKeyManager({ store, kms, clock, alg: 'EdDSA' });
    await changed.refresh();
    expect(changed.keys().signing.alg).toBe('ES256');
    expect([...store.rows.values()].find(({ status }) => status === 'next')!.alg).toBe('EdDSA');
  });
});

test.each(['RS256', 'ES256', 'EdDSA'] as const)(
  'the %s key document holds public members only',
  async (alg) => {
    const { manager } = await setUp({ alg });
    await manager.refresh();
    const { keys } = jwks(manager.keys());
    expect(keys).toHaveLength(2);
    for (const key of keys) {
      const members = alg === 'RS256' ? ['n', 'e'] : alg === 'ES256' ? ['crv', 'x', 'y'] : ['crv', 'x'];
      expect(Object.keys(key).sort()).toEqual(['alg', 'kid', 'kty', 'use', ...members].sort());
      expect(key).toMatchObject({ alg, use: 'sig', kid: await calculateJwkThumbprint(key) });
    }
  },
);
