import { randomBytes } from 'node:crypto';
import { describe, expect, test } from 'vitest';
import { createLocalKms, masterKeyOf } from '../../src/adapters/kms-local.ts';
import { DecryptionError } from '../../src/kernel/kms.ts';

const first = { id: 'local:1', key: randomBytes(32) };
const second = { id: 'local:2', key: randomBytes(32) };
const kms = createLocalKms({ keys: [first], activeId: first.id });
const CONTEXT = 'account-1|kyc-1|document_number';

/** Segments of the text: version, key, wrapped data key, key at sealing, data. */
const parts = (text: string) => text.split('.') as [string, string, string, string, string];
const nonces = (text: string) =>
  [parts(text)[2], parts(text)[4]].map((b) => Buffer.from(b, 'base64url').subarray(0, 12).toString('hex'));

describe('envelope encryption', () => {
  test.each(['', 'x', 'ABCPE1234F', 'päßwörd 🔐', 'y'.repeat(100_000)])(
    'gives back what it sealed',
    async (text) => {
      expect(await kms.decrypt(await kms.encrypt(text, CONTEXT), CONTEXT)).toBe(text);
    },
  );

  test('names the format and the master key, and has 96-bit nonces and 128-bit tags', async () => {
    const text = await kms.encrypt('0123456789', CONTEXT);
    const [version, id, wrapped, sealedUnder, data] = parts(text);
    expect([version, id, sealedUnder]).toEqual(['v1', 'local:1', 'local:1']);
    expect(Buffer.from(wrapped, 'base64url')).toHaveLength(12 + 32 + 16);
    expect(Buffer.from(data, 'base64url')).toHaveLength(12 + 10 + 16);
    expect(masterKeyOf(text)).toBe('local:1');
    expect(text).not.toContain('0123456789');
  });

  test('1,000 encryptions of one value share no nonce, data key or text', async () => {
    const texts = await Promise.all(Array.from({ length: 1_000 }, () => kms.encrypt('same', CONTEXT)));
    expect(new Set(texts).size).toBe(1_000);
    expect(new Set(texts.flatMap(nonces)).size).toBe(2_000);
    expect(new Set(texts.map((t) => parts(t)[2])).size).toBe(1_000);
  });

  test.each(['account-2|kyc-1|document_number', 'account-1|kyc-1|totp', '', `${CONTEXT}|`, `|${CONTEXT}`])(
    'a value moved to context %j does not open',
    async (other) => {
      const text = await kms.encrypt('secret', CONTEXT);
      await expect(kms.decrypt(text, other)).rejects.toBeInstanceOf(DecryptionError);
      await expect(kms.rewrap(text, other)).rejects.toBeInstanceOf(DecryptionError);
    },
  );

  test('neither layer can be swapped for that of another value, even of the same context', async () => {
    const [a, b] = [await kms.encrypt('a', CONTEXT), await kms.encrypt('b', CONTEXT)].map(parts) as [
      ReturnType<typeof parts>,
      ReturnType<typeof parts>,
    ];
    const mixed = [
      [a[0], a[1], b[2], a[3], a[4]],
      [a[0], a[1], a[2], a[3], b[4]],
      [a[0], a[1], a[4], a[3], a[2]],
    ];
    for (const text of mixed) {
      await expect(kms.decrypt(text.join('.'), CONTEXT)).rejects.toBeInstanceOf(DecryptionError);
    }
  });

  test('a changed bit anywhere in either layer is noticed', async () => {
    const text = parts(await kms.encrypt('secret', CONTEXT));
    for (const layer of [2, 4] as const) {
      const bytes = Buffer.from(text[layer], 'base64url');
      for (let i = 0; i < bytes.length; i++) {
        const changed = Buffer.from(bytes);
        changed.writeUInt8(changed.readUInt8(i) ^ 1, i);
        const forged = text.with(layer, changed.toString('base64url')).join('.');
        await expect(kms.decrypt(forged, CONTEXT)).rejects.toBeInstanceOf(DecryptionError);
      }
    }
  });

  test('relabelling the master key of either layer is noticed', async () => {
    const both = createLocalKms({ keys: [first, { ...second, key: first.key }], activeId: first.id });
    const text = parts(await both.encrypt('secret', CONTEXT));
    for (const segment of [1, 3]) {
      await expect(both.decrypt(text.with(segment, second.id).join('.'), CONTEXT)).rejects.toBeInstanceOf(
        DecryptionError,
      );
    }
  });

  test.each(['', 'secret', 'v1', 'v1....', 'v1.local:1.AAAA.local:1.AAAA', 'v1.a.b.c.d.e'])(
    '%j is not a sealed value',
    async (text) => {
      await expect(kms.decrypt(text, CONTEXT)).rejects.toBeInstanceOf(DecryptionError);
    },
  );

  test('a value has one spelling only', async () => {
    const text = parts(await kms.encrypt('secret', CONTEXT));
    for (const spelling of [
      `${text[0]}2.${text.slice(1).join('.')}`,
      `${text.join('.')}=`,
      ` ${text.join('.')}`,
    ]) {
      await expect(kms.decrypt(spelling, CONTEXT)).rejects.toBeInstanceOf(DecryptionError);
    }
  });

  test('an error tells neither plaintext, context nor keys', async () => {
    const text = await kms.encrypt('canary', CONTEXT);
    const error: Error = await kms.decrypt(text, 'canary-context').then(
      () => expect.unreachable(),
      (e) => e,
    );
    const told = `${error.message} ${error.stack} ${String(error.cause)}`;
    expect(told).not.toContain('canary');
    expect(told).not.toContain(first.key.toString('hex'));
  });
});

describe('rotation', () => {
  const rotating = createLocalKms({ keys: [first, second], activeId: second.id });
  const rotated = createLocalKms({ keys: [second], activeId: second.id });

  test('seals under the new key and still opens what the old one sealed', async () => {
    const old = await kms.encrypt('secret', CONTEXT);
    expect(await rotating.decrypt(old, CONTEXT)).toBe('secret');
    expect(masterKeyOf(await rotating.encrypt('secret', CONTEXT))).toBe(second.id);
  });

  test('rewrapping changes the data key alone, after which the old master key can go', async () => {
    const old = await kms.encrypt('secret', CONTEXT);
    const moved = await rotating.rewrap(old, CONTEXT);
    expect(masterKeyOf(moved)).toBe(second.id);
    expect(parts(moved)[2]).not.toBe(parts(old)[2]);
    expect(parts(moved).slice(3)).toEqual(parts(old).slice(3));
    expect(await rotated.decrypt(moved, CONTEXT)).toBe('secret');
    await expect(rotated.decrypt(moved, 'another')).rejects.toBeInstanceOf(DecryptionError);
    await expect(rotated.decrypt(old, CONTEXT)).rejects.toThrow('The master key local:1 is not here');
    await expect(kms.decrypt(moved, CONTEXT)).rejects.toBeInstanceOf(DecryptionError);
  });

  test('can be interrupted and repeated at any value', async () => {
    let text = await kms.encrypt('secret', CONTEXT);
    for (let i = 0; i < 3; i++) {
      text = await rotating.rewrap(text, CONTEXT);
      expect(await rotating.decrypt(text, CONTEXT)).toBe('secret');
    }
  });
});

describe('master keys', () => {
  const wire = (key: Buffer) => () => createLocalKms({ keys: [{ id: 'k', key }], activeId: 'k' });

  test.each([
    ['short', randomBytes(31)],
    ['long', randomBytes(33)],
    ['empty', Buffer.alloc(0)],
    ['all-zero', Buffer.alloc(32)],
    ['constant', Buffer.alloc(32, 0x61)],
    ['counting', Buffer.from(Array.from({ length: 32 }, (_, i) => i))],
    ['counting down', Buffer.from(Array.from({ length: 32 }, (_, i) => 0xff - i))],
    ['repeating', Buffer.from('0123456789abcdef0123456789abcdef')],
    ['spelt out', Buffer.from('please-CHANGE-this-0123456789-ab')],
  ])('may not be %s', (_name, key) => {
    expect(wire(key)).toThrow(/The master key k /);
  });

  test('drawn at random are accepted', () => {
    for (let i = 0; i < 200; i++) expect(wire(randomBytes(32))).not.toThrow();
  });

  test('need distinct usable ids, and an active one among them', () => {
    const { key } = first;
    expect(() => createLocalKms({ keys: [], activeId: 'a' })).toThrow(/active/);
    expect(() => createLocalKms({ keys: [{ id: 'a', key }], activeId: 'b' })).toThrow(/active/);
    expect(() => createLocalKms({ keys: [first, { ...second, id: first.id }], activeId: first.id })).toThrow(
      /Two/,
    );
    for (const id of ['', 'a.b', 'a|b', 'a b', 'x'.repeat(65)]) {
      expect(() => createLocalKms({ keys: [{ id, key }], activeId: id })).toThrow(/id/);
    }
  });

  test('are copied: wiping the given buffer afterwards changes nothing', async () => {
    const key = randomBytes(32);
    const own = createLocalKms({ keys: [{ id: 'k', key }], activeId: 'k' });
    const text = await own.encrypt('secret', CONTEXT);
    key.fill(0);
    expect(await own.decrypt(text, CONTEXT)).toBe('secret');
  });
});
