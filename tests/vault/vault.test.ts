/** The vault over real local keys: what is sealed opens for its subject and for nothing else. */
import { randomBytes, randomUUID } from 'node:crypto';
import { describe, expect, test, vi } from 'vitest';
import { createLocalKms, createLocalWrapper } from '../../src/adapters/kms-local.ts';
import { DecryptionError, KmsUnavailable } from '../../src/kernel/kms.ts';
import { createVault, parseValue, type VaultSubject, withWrapping } from '../../src/kernel/vault/vault.ts';

const master = { id: 'local:1', key: randomBytes(32) };
const legacy = createLocalKms({ keys: [master], activeId: master.id });
const wrapper = createLocalWrapper({ keys: [master], activeId: master.id });
const subject = (): VaultSubject => ({ owner: randomUUID(), account: randomUUID(), keyVersion: 1 });
const SECRETS = { api_key: 'planted-key', api_secret: 'planted-secret', access_token: 'planted-token' };

/** Counts what the KMS is asked. */
function counting() {
  const calls = { unwrap: 0 };
  return {
    calls,
    wrapper: {
      ...wrapper,
      unwrap: (owned: Parameters<typeof wrapper.unwrap>[0]) => {
        calls.unwrap += 1;
        return wrapper.unwrap(owned);
      },
    },
  };
}

describe('credentials of an account', () => {
  const vault = createVault({ wrapper, legacy });

  test('open for their owner, account and key version, and stand nowhere in clear', async () => {
    const mine = subject();
    const sealed = await vault.seal(mine, SECRETS);
    expect(await vault.open(mine, sealed)).toEqual(SECRETS);
    expect(JSON.stringify(sealed)).not.toMatch(/planted/);
    const others = [
      { ...mine, owner: randomUUID() },
      { ...mine, account: randomUUID() },
      { ...mine, keyVersion: 2 },
    ];
    for (const other of others)
      await expect(vault.open(other, sealed)).rejects.toBeInstanceOf(DecryptionError);
  });

  test('fields cannot be swapped, nor taken from another account or an older key version', async () => {
    const mine = subject();
    const [a, b, older] = await Promise.all([
      vault.seal(mine, SECRETS),
      vault.seal(subject(), SECRETS),
      vault.seal(mine, SECRETS),
    ]);
    const { fields } = a;
    const mixed = [
      { ...a, fields: { api_key: fields.api_secret!, api_secret: fields.api_key! } },
      { ...a, fields: { ...fields, api_key: b.fields.api_key! } },
      { ...a, fields: older.fields },
      { ...b, fields },
      { ...a, wrappedKey: older.wrappedKey },
      { ...a, wrappedKey: older.wrappedKey, fields: older.fields },
      { ...a, keyCheck: older.keyCheck },
      { ...a, keyCheck: '' },
      { ...a, wrappingKey: 'local:9' },
      { ...a, wrappedKey: a.wrappedKey.slice(0, -4) },
      { ...a, fields: { ...fields, api_key: fields.api_key!.slice(0, -4) } },
      { ...a, fields: { ...fields, api_key: '' } },
    ];
    for (const sealed of mixed) {
      vault.forget(mine.account);
      await expect(vault.open(mine, sealed)).rejects.toBeInstanceOf(DecryptionError);
    }
    expect(await vault.open(mine, a)).toEqual(SECRETS);
  });

  test('1,000 seals of one value share no ciphertext and no data key', async () => {
    const mine = subject();
    const sealed = await Promise.all(
      Array.from({ length: 1000 }, () => vault.seal(mine, { api_key: 'same' })),
    );
    expect(new Set(sealed.map((s) => s.fields.api_key)).size).toBe(1000);
    expect(new Set(sealed.map((s) => s.wrappedKey)).size).toBe(1000);
    expect(new Set(sealed.map((s) => s.keyCheck)).size).toBe(1000);
  });

  test('the data key cannot be replaced together with its wrapping: the key check is bound to the subject', async () => {
    const [mine, yours] = [subject(), subject()];
    const theirs = await vault.seal(yours, SECRETS);
    const dataKey = await wrapper.unwrap({
      wrapped: { key: theirs.wrappingKey, blob: theirs.wrappedKey },
      account: yours.account,
    });
    const { key, blob } = await wrapper.wrap(dataKey, mine.account);
    const moved = { ...theirs, wrappingKey: key, wrappedKey: blob };
    await expect(vault.open(mine, moved)).rejects.toThrow(/data key/);
  });
});

describe('data keys in memory', () => {
  test('spare the KMS, are bounded in number, and go when forgotten', async () => {
    const { calls, wrapper: counted } = counting();
    const vault = createVault({ wrapper: counted, legacy, cacheSize: 3 });
    const mine = subject();
    const sealed = await vault.seal(mine, SECRETS);
    for (let i = 0; i < 5; i++) await vault.open(mine, sealed);
    expect(calls.unwrap).toBe(1);
    vault.forget(mine.account);
    await vault.open(mine, sealed);
    expect(calls.unwrap).toBe(2);
    for (let i = 0; i < 10; i++) {
      const one = subject();
      await vault.open(one, await vault.seal(one, SECRETS));
    }
    expect(vault.cached()).toBe(3);
  });

  test('never open anything with a key that did not pass its check', async () => {
    const vault = createVault({ wrapper, legacy });
    const mine = subject();
    const sealed = await vault.seal(mine, SECRETS);
    await expect(vault.open(mine, { ...sealed, keyCheck: 'x' })).rejects.toBeInstanceOf(DecryptionError);
    expect(vault.cached()).toBe(0);
  });

  test('live for five minutes at most, whatever is asked for', async () => {
    vi.useFakeTimers();
    try {
      const vault = createVault({ wrapper, legacy, cacheMs: 3_600_000 });
      const mine = subject();
      await vault.open(mine, await vault.seal(mine, SECRETS));
      vi.advanceTimersByTime(299_999);
      expect(vault.cached()).toBe(1);
      vi.advanceTimersByTime(1);
      expect(vault.cached()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });
});

describe('values sealed on their own', () => {
  const vault = createVault({ wrapper, legacy });
  const context = `kyc|${randomUUID()}|${randomUUID()}|number`;

  test('open in their context alone; those from before the vault stay readable', async () => {
    const sealed = await vault.encrypt('ABCDE1234F', context);
    expect(sealed).toMatch(/^v2\./);
    expect(await vault.decrypt(sealed, context)).toBe('ABCDE1234F');
    expect(await vault.decrypt(await legacy.encrypt('ABCDE1234F', context), context)).toBe('ABCDE1234F');
    for (const moved of [`${context}|`, context.replace('number', 'totp'), context.replace('kyc', 'totp')])
      await expect(vault.decrypt(sealed, moved)).rejects.toBeInstanceOf(DecryptionError);
    for (const broken of ['', 'v2', 'v2....', sealed.slice(0, -3), `${sealed}.x`, sealed.replace('v2', 'v3')])
      await expect(vault.decrypt(broken, context)).rejects.toBeInstanceOf(DecryptionError);
  });

  test('keep their data under another wrapping', async () => {
    const sealed = await vault.encrypt('ABCDE1234F', context);
    const account = context.split('|')[1]!;
    const [again] = await wrapper.rewrap([{ wrapped: parseValue(sealed).wrapped, account }]);
    if (!again || again instanceof Error) throw new Error('not rewrapped');
    const moved = withWrapping(sealed, again);
    expect(moved).not.toBe(sealed);
    expect(parseValue(moved).data).toBe(parseValue(sealed).data);
    expect(await vault.decrypt(moved, context)).toBe('ABCDE1234F');
  });

  test('without the KMS nothing is sealed and nothing opens', async () => {
    const down = () => Promise.reject(new KmsUnavailable('down'));
    const cut = createVault({ wrapper: { activeKey: down, wrap: down, unwrap: down, rewrap: down }, legacy });
    const sealed = await vault.encrypt('ABCDE1234F', context);
    await expect(cut.encrypt('x', context)).rejects.toBeInstanceOf(KmsUnavailable);
    await expect(cut.decrypt(sealed, context)).rejects.toBeInstanceOf(KmsUnavailable);
    await expect(cut.seal(subject(), SECRETS)).rejects.toBeInstanceOf(KmsUnavailable);
  });
});
