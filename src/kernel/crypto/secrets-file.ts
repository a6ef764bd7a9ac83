/** Secrets for a service that was given none: made once under the data folder, readable by its owner only. */
import { randomBytes } from 'node:crypto';
import { chmodSync, linkSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { ConfigError } from '../../config/read.ts';

export const SECRETS_FILE = 'secrets.json';

const hex = z.string().regex(/^[0-9a-f]{64}$/);
const contents = z.strictObject({
  masterKey: hex,
  passwordPepper: hex,
  secretKey: hex,
  webhookSecret: hex,
  adminToken: hex,
});

export type Secrets = {
  /** 32 bytes. */
  masterKey: Buffer;
  /** 32 bytes. */
  passwordPepper: Buffer;
  secretKey: string;
  webhookSecret: string;
  adminToken: string;
};

const fresh = (): z.infer<typeof contents> => {
  const secret = () => randomBytes(32).toString('hex');
  return {
    masterKey: secret(),
    passwordPepper: secret(),
    secretKey: secret(),
    webhookSecret: secret(),
    adminToken: secret(),
  };
};

const isCode = (error: unknown, code: string): boolean =>
  error instanceof Error && 'code' in error && error.code === code;

/** A finished file is linked into place, so that a second process sees all of it or none and the first one wins. */
function create(path: string): void {
  const draft = `${path}.${randomBytes(6).toString('hex')}`;
  writeFileSync(draft, `${JSON.stringify(fresh(), null, 2)}\n`, { mode: 0o600, flag: 'wx', flush: true });
  try {
    linkSync(draft, path);
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
    if (existing(path) === null) create(path);
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
    masterKey: Buffer.from(secrets.data.masterKey, 'hex'),
    passwordPepper: Buffer.from(secrets.data.passwordPepper, 'hex'),
  };
}
