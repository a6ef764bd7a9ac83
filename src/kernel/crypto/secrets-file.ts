/** Secrets for a service that was given none: made once under the data folder, readable by its owner only. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  linkSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../../config/read.ts';
import { hmacSha256 } from './hmac.ts';

export const SECRETS_FILE = 'secrets.json';

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const contents = z.strictObject({
  masterKey: hex,
  passwordPepper: hex,
  secretKey: hex,
  webhookSecret: hex,
  adminToken: hex,
  /** Missing in files of earlier builds. */
  introspectionToken: hex.optional(),
});

type Contents = z.infer<typeof contents>;

export type Secrets = {
  /** 32 bytes. */
  masterKey: Buffer;
  /** 32 bytes. */
  passwordPepper: Buffer;
  secretKey: string;
  webhookSecret: string;
  adminToken: string;
  introspectionToken: string;
};

const fresh = (): Contents => {
  const secret = () => randomBytes(32).toString('hex');
  return {
    masterKey: secret(),
    passwordPepper: secret(),
    secretKey: secret(),
    webhookSecret: secret(),
    adminToken: secret(),
    introspectionToken: secret(),
  };
};

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

/** A finished file is put into place, so that a second process sees all of it or none. */
function put(path: string, secrets: Contents, place: (draft: string, path: string) => void): void {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(draft, `${JSON.stringify(secrets, null, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true });
  try {
    place(draft, path);
  } catch (error) {
    if (!isCode(error, 'EEXIST')) throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

function existing(path: string): string | null {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (isCode(error, 'ENOENT')) return null;
    throw error;
  }
}

function parse(raw: string): unknown {
  try {
    return JSON.parse(raw);
  } catch {
    return null;
  }
}

/** Derived from what is there, so that two processes that complete the file at once write the same. */
function complete(path: string, secrets: Contents): string {
  const introspectionToken = hmacSha256(Buffer.from(secrets.secretKey, 'hex'), 'introspectionToken').toString(
    'hex',
  );
  try {
    put(path, { ...secrets, introspectionToken }, renameSync);
  } catch (cause) {
    throw new ConfigError('DATA_DIR', `names a folder whose ${SECRETS_FILE} cannot be written`, { cause });
  }
  return introspectionToken;
}

/**
 * Reads the secrets under `dataDir`, making them first when there are none. Never overwrites a file it cannot read:
 * losing the master key loses everything encrypted with it.
 * @throws {ConfigError} DATA_DIR, when the file is damaged or the folder cannot be used.
 */
export function loadOrCreateSecrets(dataDir: string): Secrets {
  const path = join(dataDir, SECRETS_FILE);
  let raw: string | null;
  try {
    mkdirSync(dataDir, { recursive: true });
    // Linked: of two processes that make the file, the first one wins.
    if (existing(path) === null) put(path, fresh(), linkSync);
    if ((statSync(path).mode & 0o077) !== 0) chmodSync(path, 0o600);
    raw = existing(path);
  } catch (cause) {
    throw new ConfigError('DATA_DIR', `names a folder whose ${SECRETS_FILE} cannot be read or made`, {
      cause,
    });
  }
  const secrets = contents.safeParse(parse(raw ?? ''));
  if (!secrets.success) {
    throw new ConfigError(
      'DATA_DIR',
      `holds a damaged ${SECRETS_FILE}; restore it, or remove it with all data`,
    );
  }
  return {
    ...secrets.data,
    introspectionToken: secrets.data.introspectionToken ?? complete(path, secrets.data),
    masterKey: Buffer.from(secrets.data.masterKey, 'hex'),
    passwordPepper: Buffer.from(secrets.data.passwordPepper, 'hex'),
  };
}
