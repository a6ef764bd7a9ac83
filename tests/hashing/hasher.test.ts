import { argon2Sync, createHmac } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { hashSync as argon2HashSync } from '@node-rs/argon2';
import { hashSync } from 'bcryptjs';
import { afterAll, describe, expect, test } from 'vitest';
import { createHasher, foreignHash } from '../../src/kernel/hashing/index.ts';
import { parseHash } from '../../src/kernel/hashing/phc.ts';

const ACCOUNT = '0190f3c4-0000-7000-8000-000000000001';
const OTHER = '0190f3c4-0000-7000-8000-000000000002';
const CHEAP = { memoryCost: 64, timeCost: 1, parallelism: 1 };
const hasher = createHasher({ threads: 2 });
const cheap = createHasher({ threads: 1, params: CHEAP });
afterAll(() => Promise.all([hasher.close(), cheap.close()]));

describe('argon2id', () => {
  test('hashes are PHC text with the documented parameters and a salt of their own', async () => {
    const [first, second] = await Promise.all([
      hasher.hash('same secret', ACCOUNT),
      hasher.hash('same secret', ACCOUNT),
    ]);
    for (const phc of [first, second])
      expect(phc).toMatch(/^bound\$argon2id\$v=19\$m=19456,t=2,p=1\$[A-Za-z0-9+/]{22}\$[A-Za-z0-9+/]{43}$/);
    expect(first).not.toBe(second);
  });

  test('another implementation computes the same tag from pepper and account', async () => {
    for (const pepper of [undefined, Buffer.from('a pepper kept outside the store')]) {
      const own = createHasher({ threads: 1, params: CHEAP, ...(pepper && { pepper }) });
      const [salt, tag] = (await own.hash('grüße', ACCOUNT)).split('$').slice(4) as [string, string];
      await own.close();
      const expected = argon2Sync('argon2id', {
        message: 'grüße',
        nonce: Buffer.from(salt, 'base64'),
        memory: 64,
        passes: 1,
        parallelism: 1,
        tagLength: 32,
        secret: createHmac('sha256', pepper ?? '')
          .update(`vestibule/hash/account/1:${ACCOUNT}`)
          .digest(),
      });
      expect(Buffer.from(tag, 'base64').equals(expected)).toBe(true);
    }
  });

  test('only the exact secret verifies, down to its last character', async () => {
    const secret = `${'long '.repeat(25)}end`;
    const phc = await cheap.hash(secret, ACCOUNT);
    expect(await cheap.verify(phc, secret, ACCOUNT)).toBe(true);
    for (const wrong of [`${secret.slice(0, -1)}D`, `${secret} `, ` ${secret}`, secret.toUpperCase(), ''])
      expect(await cheap.verify(phc, wrong, ACCOUNT)).toBe(false);
  });

  test('composed and decomposed spellings of a secret are one', async () => {
    const phc = await cheap.hash('cafe\u0301 \u212b', ACCOUNT);
    expect(await cheap.verify(phc, 'caf\u00e9 \u00c5', ACCOUNT)).toBe(true);
    // Compatibility forms stay different: NFC, not NFKC.
    expect(await cheap.verify(await cheap.hash('\ufb01', ACCOUNT), 'fi', ACCOUNT)).toBe(false);
  });

  test('a hash made with a pepper is worthless without it', async () => {
    const peppered = createHasher({ threads: 1, params: CHEAP, pepper: Buffer.alloc(32, 7) });
    const phc = await peppered.hash('secret', ACCOUNT);
    expect(await peppered.verify(phc, 'secret', ACCOUNT)).toBe(true);
    expect(await cheap.verify(phc, 'secret', ACCOUNT)).toBe(false);
    await peppered.close();
  });
});

describe('verification without a usable hash', () => {
  test('costs what a real one costs and is false', async () => {
    const phc = await hasher.hash('secret', ACCOUNT);
    /** Processor time of all threads, which other programs on the machine do not lengthen. */
    const cost = async (stored: string | null) => {
      const times: number[] = [];
      for (let i = 0; i < 9; i++) {
        const start = process.cpuUsage();
        expect(await hasher.verify(stored, 'wrong', ACCOUNT)).toBe(false);
        const { user, system } = process.cpuUsage(start);
        times.push(user + system);
      }
      return Math.min(...times);
    };
    const [unknown, known] = [await cost(null), await cost(phc)];
    // Skipping the work would make it some hundred times cheaper.
    expect(unknown).toBeGreaterThan(known / 3);
  });

  test.each([
    ['plain text', 'secret'],
    ['an empty string', ''],
    ['another scheme', '$argon2i$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdA$c2FsdHNhbHRzYWx0c2FsdA'],
    ['a broken salt', '$argon2id$v=19$m=64,t=1,p=1$c2FsdHNhbHRzYWx0c2FsdB$c2FsdHNhbHRzYWx0c2FsdA'],
    ['a ruinous cost', '$argon2id$v=19$m=4194304,t=9,p=1$c2FsdHNhbHRzYWx0c2FsdA$c2FsdHNhbHRzYWx0c2FsdA'],
    ['ruinous bcrypt', `$2b$31$${'a'.repeat(53)}`],
  ])('is false for %s', async (_, stored) => {
    expect(await cheap.verify(stored, 'secret', ACCOUNT)).toBe(false);
  });

  test.each([
    ['beyond 1024 bytes', 'é'.repeat(513)],
    ['of 1025 bytes', 'x'.repeat(1025)],
    ['with NUL', 'sec\0ret'],
    ['with a lone surrogate', 'secret\ud800'],
  ])('a secret %s is never hashed', async (_, secret) => {
    expect(await cheap.verify(null, secret, ACCOUNT)).toBe(false);
    await expect(cheap.hash(secret, ACCOUNT)).rejects.toMatchObject({ code: 'validation_failed' });
    expect(cheap.load()).toEqual({ running: 0, queued: 0 });
  });

  test('1024 bytes are still hashed whole', async () => {
    const phc = await cheap.hash('x'.repeat(1024), ACCOUNT);
    expect(await cheap.verify(phc, 'x'.repeat(1024), ACCOUNT)).toBe(true);
    expect(await cheap.verify(phc, `${'x'.repeat(1023)}y`, ACCOUNT)).toBe(false);
  });
});

describe('bcrypt brought along', () => {
  test.each(['$2a$', '$2b$', '$2y$'])('%s verifies and asks to be replaced', async (prefix) => {
    const stored = hashSync('imported secret', 4).replace(/^\$2.\$/, prefix);
    expect(await cheap.verify(stored, 'imported secret', ACCOUNT)).toBe(true);
    expect(await cheap.verify(stored, 'imported Secret', ACCOUNT)).toBe(false);
    expect(cheap.needsRehash(stored)).toBe(true);
  });

  test('what bcrypt would have cut off is refused', async () => {
    const stored = hashSync('x'.repeat(72), 4);
    expect(await cheap.verify(stored, 'x'.repeat(72), ACCOUNT)).toBe(true);
    expect(await cheap.verify(stored, 'x'.repeat(73), ACCOUNT)).toBe(false);
  });
});

describe('argon2id brought along', () => {
  const elsewhere = argon2HashSync('imported secret', { algorithm: 2, memoryCost: 512, timeCost: 1 });
  const peppered = createHasher({ threads: 1, params: CHEAP, pepper: Buffer.from('a pepper') });
  afterAll(() => peppered.close());

  test('verifies without the pepper, only when it is marked, and asks to be replaced', async () => {
    const stored = foreignHash(elsewhere)!;
    expect(await peppered.verify(stored, 'imported secret', ACCOUNT)).toBe(true);
    expect(await peppered.verify(stored, 'imported Secret', ACCOUNT)).toBe(false);
    expect(await peppered.verify(elsewhere, 'imported secret', ACCOUNT)).toBe(false);
    expect(peppered.needsRehash(stored)).toBe(true);
  });

  test('one of ours does not verify as theirs', async () => {
    expect(
      await peppered.verify(foreignHash(await peppered.hash('secret', ACCOUNT)), 'secret', ACCOUNT),
    ).toBe(false);
  });

  test.each(['', 'md5', foreignHash(elsewhere)!, elsewhere.replace('m=512', 'm=9999999')])(
    '%j is not taken over',
    (text) => expect(foreignHash(text)).toBeNull(),
  );
});

describe('a hash is bound to its account', () => {
  const pepper = Buffer.alloc(32, 7);
  const peppered = createHasher({ threads: 1, params: CHEAP, pepper });
  afterAll(() => peppered.close());
  /** As it was made before hashes were bound: keyed by the pepper alone. */
  const unbound = argon2HashSync('secret', { ...CHEAP, algorithm: 2, secret: pepper });

  test('on the row of another one it opens nothing', async () => {
    const phc = await peppered.hash('secret', ACCOUNT);
    expect(await peppered.verify(phc, 'secret', ACCOUNT)).toBe(true);
    expect(await peppered.verify(phc, 'secret', OTHER)).toBe(false);
    expect(await peppered.verify(phc, 'secret', null)).toBe(false);
  });

  test('and neither does it when its mark is changed or taken off', async () => {
    const phc = await peppered.hash('secret', ACCOUNT);
    const text = phc.replace(/^bound/, '');
    for (const mark of ['', 'unkeyed', 'BOUND', ' bound', 'boundbound', 'unkeyedbound', 'pepper'])
      expect(await peppered.verify(mark + text, 'secret', OTHER), mark).toBe(false);
    expect(parseHash(`Bound${text}`)).toBeNull();
    expect(parseHash(`bound${text}\n`)).toBeNull();
    expect(parseHash(phc)).toMatchObject({ key: 'account' });
  });

  test('one made before is valid still and asks to be bound; one taken over cannot pretend to be bound', async () => {
    expect(await peppered.verify(unbound, 'secret', ACCOUNT)).toBe(true);
    expect(await peppered.verify(unbound, 'Secret', ACCOUNT)).toBe(false);
    expect(peppered.needsRehash(unbound)).toBe(true);
    expect(await peppered.verify(`bound${unbound}`, 'secret', ACCOUNT)).toBe(false);
    expect(foreignHash(`bound${unbound}`)).toBeNull();
    expect(peppered.needsRehash(await peppered.hash('secret', ACCOUNT))).toBe(false);
  });

  test('each of a group is hashed for its own account', async () => {
    const accounts = Array.from({ length: 24 }, (_, i) => ACCOUNT.slice(0, -2) + String(i).padStart(2, '0'));
    const hashes = await Promise.all(accounts.map((id) => peppered.hash('secret', id)));
    const own = await Promise.all(hashes.map((phc, i) => peppered.verify(phc, 'secret', accounts[i]!)));
    const next = await Promise.all(
      hashes.map((phc, i) => peppered.verify(phc, 'secret', accounts[(i + 1) % 24]!)),
    );
    expect([new Set(own), new Set(next)]).toEqual([new Set([true]), new Set([false])]);
  });

  test('without an account there is none', () =>
    expect(peppered.hash('secret', '')).rejects.toThrow('needs the account'));
});

test('weaker parameters ask for a new hash, current and stronger ones do not', async () => {
  const strong = createHasher({ params: { memoryCost: 128, timeCost: 2, parallelism: 1 } });
  expect(strong.needsRehash(await cheap.hash('secret', ACCOUNT))).toBe(true);
  expect(cheap.needsRehash(await cheap.hash('secret', ACCOUNT))).toBe(false);
  expect(cheap.needsRehash(await strong.hash('secret', ACCOUNT))).toBe(false);
  expect(cheap.needsRehash('unreadable')).toBe(true);
  await strong.close();
});

test.runIf(process.platform === 'linux')('hashing threads yield to all others', async () => {
  await cheap.hash('secret', ACCOUNT);
  const nice = readdirSync('/proc/self/task').map((id) => {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, 'utf8');
    const name = stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'));
    return { name, nice: Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[16]) };
  });
  const hashing = nice.filter((thread) => thread.name === 'hashing');
  expect(hashing.length).toBeGreaterThan(0);
  const main = nice[0]!.nice;
  for (const thread of hashing) expect(thread.nice).toBe(15);
  expect(main).toBeLessThan(10);
});
