/**
 * Envelope encryption on this machine: a fresh 256-bit data key per value, wrapped by a named master key, both layers
 * AES-256-GCM (96-bit random nonce, 128-bit tag). Plaintext, data keys and master keys must never reach a log or error.
 *
 * `v1.<master key>.<wrapped data key>.<master key at sealing>.<data>`, both blobs base64url of nonce, bytes and tag.
 * Each layer authenticates `v1|<context>|<its master key id>`, so neither can be moved. Rotation rewraps the data key
 * alone; the data layer keeps the id it was sealed under, which is then a label and needs no key.
 */
import { randomBytes } from 'node:crypto';
import { open, seal } from '../kernel/crypto/aes-gcm.ts';
import { DecryptionError, type KeyWrapper, type KmsPort } from '../kernel/kms.ts';
import { requireMasterKey } from './master-key.ts';

const KEY_BYTES = 32;
const KEY_ID = /^[A-Za-z0-9][A-Za-z0-9_:-]{0,63}$/;

export type MasterKey = {
  /** Name and version, for example `local:2`. No dots. */
  id: string;
  /** 32 bytes from a random source; copied. */
  key: Buffer;
};

export type LocalKms = KmsPort & {
  /** The same value under the active master key; the data itself is not touched. @throws DecryptionError */
  rewrap(ciphertext: string, context: string): Promise<string>;
};

export type LocalKeys = { keys: readonly MasterKey[]; activeId: string };

function mastersOf({ keys, activeId }: LocalKeys) {
  const masters = new Map<string, Buffer>();
  for (const { id, key } of keys) {
    if (!KEY_ID.test(id)) throw new Error('A master key id is not valid');
    if (masters.has(id)) throw new Error(`Two master keys are called ${id}`);
    requireMasterKey(id, key);
    masters.set(id, Buffer.from(key));
  }
  const active = masters.get(activeId);
  if (!active) throw new Error('The active master key is not among the keys');
  return { masters, active };
}

/** @throws Error for no keys, a repeated id, an unknown active id, or a key that is not 32 random bytes. */
export function createLocalKms({ keys, activeId }: LocalKeys): LocalKms {
  const { masters, active } = mastersOf({ keys, activeId });

  const wrap = (dek: Buffer, context: string): string => seal(active, dek, aad(context, activeId));
  const unwrap = (sealed: Sealed, context: string): Buffer => {
    const master = masters.get(sealed.masterId);
    if (!master) throw new DecryptionError(`The master key ${sealed.masterId} is not here`);
    return open(master, sealed.wrapped, aad(context, sealed.masterId));
  };

  return {
    async encrypt(plaintext, context) {
      const dek = randomBytes(KEY_BYTES);
      try {
        const data = seal(dek, Buffer.from(plaintext, 'utf8'), aad(context, activeId));
        return `v1.${activeId}.${wrap(dek, context)}.${activeId}.${data}`;
      } finally {
        dek.fill(0);
      }
    },
    async decrypt(ciphertext, context) {
      const sealed = parse(ciphertext);
      const dek = unwrap(sealed, context);
      try {
        return open(dek, sealed.data, aad(context, sealed.sealedUnder)).toString('utf8');
      } finally {
        dek.fill(0);
      }
    },
    async rewrap(ciphertext, context) {
      const sealed = parse(ciphertext);
      const dek = unwrap(sealed, context);
      try {
        return `v1.${activeId}.${wrap(dek, context)}.${sealed.sealedUnder}.${sealed.data}`;
      } finally {
        dek.fill(0);
      }
    },
  };
}

/** The master key a stored value needs, to count and find what a rotation still has to do. @throws DecryptionError */
export const masterKeyOf = (ciphertext: string): string => parse(ciphertext).masterId;

type Sealed = { masterId: string; wrapped: string; sealedUnder: string; data: string };

function parse(ciphertext: string): Sealed {
  const [version, masterId = '', wrapped = '', sealedUnder = '', data = '', ...rest] = ciphertext.split('.');
  if (version !== 'v1' || rest.length > 0 || !KEY_ID.test(masterId) || !KEY_ID.test(sealedUnder)) {
    throw new DecryptionError('Not a sealed value');
  }
  return { masterId, wrapped, sealedUnder, data };
}

const aad = (context: string, masterId: string): Buffer => Buffer.from(`v1|${context}|${masterId}`);

/** Wraps the data keys of the vault under master keys of this process. @throws Error as `createLocalKms` */
export function createLocalWrapper({ keys, activeId }: LocalKeys): KeyWrapper {
  const { masters, active } = mastersOf({ keys, activeId });
  const bound = (account: string, id: string): Buffer => Buffer.from(`wrap|v1|${account}|${id}`);
  const wrap = (dataKey: Buffer, account: string) => ({
    key: activeId,
    blob: seal(active, dataKey, bound(account, activeId)),
  });
  const unwrap: KeyWrapper['unwrap'] = async ({ wrapped: { key, blob }, account }) => {
    const master = masters.get(key);
    if (!master) throw new DecryptionError('The master key that wrapped this data key is not here');
    return open(master, blob, bound(account, key));
  };
  return {
    activeKey: async () => activeId,
    wrap: async (dataKey, account) => wrap(dataKey, account),
    unwrap,
    rewrap: (owned) =>
      Promise.all(
        owned.map(async (one) => {
          try {
            const dataKey = await unwrap(one);
            const wrapped = wrap(dataKey, one.account);
            dataKey.fill(0);
            return wrapped;
          } catch (error) {
            if (error instanceof DecryptionError) return error;
            throw error;
          }
        }),
      ),
  };
}
