/**
 * The vault: envelope encryption of what must not be read from a dump. Data keys are wrapped by the configured KMS; the
 * values are AES-256-GCM here. There is no fallback: without the KMS nothing is sealed and nothing is opened.
 */
import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import { open, seal } from '../crypto/aes-gcm.ts';
import { DecryptionError, type KeyWrapper, type KmsPort, type WrappedKey } from '../kms.ts';

/** Whose secrets: all of it is authenticated with every field. `keyVersion` counts the data keys of the account. */
export type VaultSubject = { owner: string; account: string; keyVersion: number };

/** What is stored of one account. */
export type SealedFields<F extends string = string> = {
  wrappingKey: string;
  wrappedKey: string;
  keyCheck: string;
  fields: Partial<Record<F, string>>;
};

export type Vault = KmsPort & {
  /** Under a data key of its own. @throws KmsUnavailable */
  seal<F extends string>(subject: VaultSubject, fields: Partial<Record<F, string>>): Promise<SealedFields<F>>;
  /** @throws DecryptionError, KmsUnavailable */
  open<F extends string>(subject: VaultSubject, sealed: SealedFields<F>): Promise<Partial<Record<F, string>>>;
  /** Drops the data key of an account from memory. */
  forget(account: string): void;
  /** Data keys held now, for tests and metrics. */
  cached(): number;
};

export type VaultOptions = {
  wrapper: KeyWrapper;
  /** Opens values sealed before there was a vault, which begin with `v1.`. */
  legacy: KmsPort;
  /** How long a data key may stay in memory, at most 300 000 ms. */
  cacheMs?: number;
  cacheSize?: number;
};

const KEY_BYTES = 32;
const MAX_CACHE_MS = 300_000;
const UUID = /[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}/;

/** AES-GCM does not commit to its key: this does, so that no ciphertext opens under two keys. */
const checkOf = (key: Buffer, bound: string): string =>
  createHmac('sha256', key).update(`key check|${bound}`).digest('base64url');

function requireCheck(key: Buffer, bound: string, stored: string): void {
  const [expected, given] = [checkOf(key, bound), stored].map((text) => Buffer.from(text));
  if (expected?.length !== given?.length || !timingSafeEqual(expected!, given!)) {
    throw new DecryptionError('The data key is not the one these values were sealed with');
  }
}

/** The first UUID of a context names whose data key it is; the whole context is authenticated with the value. */
export function accountOf(context: string): string {
  const account = UUID.exec(context)?.[0];
  if (!account) throw new Error('a context of the vault must hold the id of an account');
  return account;
}

const encoded = (text: string): string => Buffer.from(text).toString('base64url');
const decoded = (text: string): string => Buffer.from(text, 'base64url').toString();

/** The parts of a value sealed on its own: `v2.<master key>.<wrapped data key>.<key check>.<data>`. */
export function parseValue(ciphertext: string): { wrapped: WrappedKey; check: string; data: string } {
  const [version, key, blob, check, data, ...rest] = ciphertext.split('.');
  if (version !== 'v2' || !key || !blob || !check || !data || rest.length > 0) {
    throw new DecryptionError('Not a sealed value');
  }
  return { wrapped: { key: decoded(key), blob: decoded(blob) }, check, data };
}

/** A value sealed on its own under another wrapping of the same data key. */
export const withWrapping = (ciphertext: string, { key, blob }: WrappedKey): string => {
  const { check, data } = parseValue(ciphertext);
  return ['v2', encoded(key), encoded(blob), check, data].join('.');
};

/** How values under this master key begin. */
export const valuePrefix = (masterKey: string): string => `v2.${encoded(masterKey)}.`;

export function createVault({
  wrapper,
  legacy,
  cacheMs = MAX_CACHE_MS,
  cacheSize = 1000,
}: VaultOptions): Vault {
  const keys = createKeyCache(Math.min(cacheMs, MAX_CACHE_MS), cacheSize);

  const boundOf = ({ owner, account, keyVersion }: VaultSubject): string =>
    ['v1', owner, account, keyVersion].join('|');
  const fieldOf = (subject: VaultSubject, field: string): Buffer =>
    Buffer.from(`${boundOf(subject)}|${field}`);

  /** Runs `work` with a data key that is wiped afterwards. */
  async function withKey<T>(key: Buffer, work: (key: Buffer) => T | Promise<T>): Promise<T> {
    try {
      return await work(key);
    } finally {
      key.fill(0);
    }
  }

  return {
    encrypt: (plaintext, context) =>
      withKey(randomBytes(KEY_BYTES), async (key) => {
        const wrapped = await wrapper.wrap(key, accountOf(context));
        const data = seal(key, Buffer.from(plaintext, 'utf8'), Buffer.from(`v2|${context}`));
        return valuePrefix(wrapped.key) + [encoded(wrapped.blob), checkOf(key, context), data].join('.');
      }),
    async decrypt(ciphertext, context) {
      if (ciphertext.startsWith('v1.')) return legacy.decrypt(ciphertext, context);
      const { wrapped, check, data } = parseValue(ciphertext);
      const key = await wrapper.unwrap({ wrapped, account: accountOf(context) });
      return withKey(key, () => {
        requireCheck(key, context, check);
        return open(key, data, Buffer.from(`v2|${context}`)).toString('utf8');
      });
    },
    seal: (subject, given) =>
      withKey(randomBytes(KEY_BYTES), async (key) => {
        const wrapped = await wrapper.wrap(key, subject.account);
        const entries = Object.entries(given) as [string, string | undefined][];
        const fields = Object.fromEntries(
          entries.flatMap(([name, value]) =>
            value === undefined ? [] : [[name, seal(key, Buffer.from(value), fieldOf(subject, name))]],
          ),
        );
        return {
          wrappingKey: wrapped.key,
          wrappedKey: wrapped.blob,
          keyCheck: checkOf(key, boundOf(subject)),
          fields: fields as never,
        };
      }),
    async open(subject, { wrappingKey, wrappedKey, keyCheck, fields }) {
      const { account } = subject;
      const known = keys.get(account, wrappedKey);
      const wrapped = { key: wrappingKey, blob: wrappedKey };
      const key = known ?? (await wrapper.unwrap({ wrapped, account }));
      return withKey(key, () => {
        requireCheck(key, boundOf(subject), keyCheck);
        if (!known) keys.set(account, wrappedKey, key);
        const entries = Object.entries(fields) as [string, string | undefined][];
        return Object.fromEntries(
          entries.flatMap(([name, text]) =>
            text === undefined ? [] : [[name, open(key, text, fieldOf(subject, name)).toString('utf8')]],
          ),
        ) as never;
      });
    },
    forget: keys.forget,
    cached: keys.size,
  };
}

/** Data keys by account, bounded in number and time; each is a copy, wiped when it goes. */
function createKeyCache(lifeMs: number, size: number) {
  type Entry = { blob: string; key: Buffer; timer: NodeJS.Timeout };
  const entries = new Map<string, Entry>();

  function forget(account: string): void {
    const entry = entries.get(account);
    if (!entry) return;
    clearTimeout(entry.timer);
    entry.key.fill(0);
    entries.delete(account);
  }

  return {
    /** A copy, for the caller to wipe. */
    get: (account: string, blob: string): Buffer | null => {
      const entry = entries.get(account);
      return entry?.blob === blob ? Buffer.from(entry.key) : null;
    },
    set(account: string, blob: string, key: Buffer): void {
      forget(account);
      const oldest = entries.keys().next();
      if (entries.size >= size && !oldest.done) forget(oldest.value);
      if (size === 0) return;
      const timer = setTimeout(() => forget(account), lifeMs);
      timer.unref();
      entries.set(account, { blob, key: Buffer.from(key), timer });
    },
    forget,
    size: () => entries.size,
  };
}
