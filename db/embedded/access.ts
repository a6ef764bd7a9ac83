/** Whether another user could reach a path; asked before privileges are dropped, because afterwards it is too late. */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';

/** The user Postgres runs as. */
export type Account = { uid: number; gid: number };

/** Postgres refuses root, and this user exists everywhere without a `useradd`. */
export const NOBODY: Account = { uid: 65534, gid: 65534 };

function allows(path: string, { uid, gid }: Account, bits: number): boolean {
  const stats = statSync(path);
  const shift = stats.uid === uid ? 6 : stats.gid === gid ? 3 : 0;
  return ((stats.mode >> shift) & bits) === bits;
}

/** True when `account` may pass through `folder` and every folder above it. The path must be free of symlinks. */
export function enterable(folder: string, account: Account): boolean {
  const above = dirname(folder);
  return allows(folder, account, 0o1) && (above === folder || enterable(above, account));
}

/** True when `account` may read and run `file`. The path must be free of symlinks. */
export const executable = (file: string, account: Account): boolean =>
  enterable(dirname(file), account) && allows(file, account, 0o5);
