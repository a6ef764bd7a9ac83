/** Where a cluster's files are: the asked folder, or a readable one it remembers; never two places at once. */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  fsyncSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type Account, enterable, NOBODY } from './access.ts';

/** A rename forgotten in a power cut would hide a whole database. */
const sync = (path: string): void => {
  const descriptor = openSync(path, 'r');
  fsyncSync(descriptor);
  closeSync(descriptor);
};

const refuseForeign = (path: string, owner: number): void => {
  const uid = process.geteuid?.();
  if (uid === 0 || uid === owner) return;
  throw new Error(
    `The database in ${path} belongs to user ${owner}. Start as that user, or set DATABASE_URL.`,
  );
};

/** The asked folder, made if missing and free of symlinks. Others may pass through it, but not list it. */
export function openFolder(dataDir: string): string {
  mkdirSync(dataDir, { recursive: true });
  refuseForeign(dataDir, statSync(dataDir).uid);
  chmodSync(dataDir, 0o711);
  return realpathSync(dataDir);
}

/** Whoever owns the existing cluster; for a new one this user, or `nobody` when this user is root. */
export function accountFor(home: string): Account {
  const cluster = join(home, 'cluster');
  const uid = process.geteuid?.() ?? 0;
  const gid = process.getegid?.() ?? 0;
  if (!existsSync(cluster)) return uid === 0 ? NOBODY : { uid, gid };
  const owner = lstatSync(cluster);
  refuseForeign(home, owner.uid);
  return { uid: owner.uid, gid: owner.gid };
}

/** Persistent places first; a temporary folder may be emptied between two starts. */
function makeElsewhere(account: Account): string {
  for (const parent of ['/var/lib', '/var/tmp', tmpdir(), '/tmp']) {
    try {
      if (!enterable(realpathSync(parent), account)) continue;
      return openFolder(mkdtempSync(join(realpathSync(parent), 'vestibule-data-')));
    } catch {
      // Missing or read-only: the next one.
    }
  }
  throw new Error(
    `No folder can be entered by user ${account.uid}, which Postgres runs as. Set DATABASE_URL.`,
  );
}

/** The folder the cluster lives in. Root in a private folder gets another one, written down in the file `location`. */
export function homeOf(folder: string, log: (line: string) => void): string {
  const note = join(folder, 'location');
  if (existsSync(note)) {
    const home = readFileSync(note, 'utf8').trim();
    if (!existsSync(home) || lstatSync(home).uid !== process.geteuid?.()) {
      throw new Error(
        `The database of ${folder} was in ${home}, which is gone. Remove ${note} to start empty.`,
      );
    }
    log(`database files are in ${home}`);
    return home;
  }
  const account = accountFor(folder);
  if (account.uid === process.geteuid?.() || enterable(folder, account)) return folder;
  if (existsSync(join(folder, 'cluster'))) {
    throw new Error(
      `User ${account.uid} can no longer enter ${folder}: allow it (chmod a+x) on every folder above.`,
    );
  }
  const home = makeElsewhere(account);
  writeFileSync(`${note}.new`, `${home}\n`);
  renameSync(`${note}.new`, note);
  sync(folder);
  log(
    `${folder} cannot be entered by user ${account.uid}, which Postgres runs as: database files are in ${home}`,
  );
  return home;
}

/** The password of the cluster's one role: made once, readable by the cluster's own user only. */
function passwordIn(home: string, account: Account, fresh: boolean): string {
  const file = join(home, 'password');
  if (fresh) {
    rmSync(file, { force: true });
    writeFileSync(file, randomBytes(24).toString('hex'), { mode: 0o600, flag: 'wx' });
    chownSync(file, account.uid, account.gid);
    sync(file);
  }
  const password = readFileSync(file, 'utf8').trim();
  if (!/^[0-9a-f]{48}$/.test(password))
    throw new Error(`${file} does not hold the password made for this database.`);
  return password;
}

/**
 * The cluster in `home`, created by `initdb(draft, passwordFile)` when there is none. It gets its final name only when
 * it is complete, so a start that was killed half-way leaves nothing to trip over.
 */
export async function openCluster(
  home: string,
  account: Account,
  initdb: (draft: string, passwordFile: string) => Promise<void>,
): Promise<{ cluster: string; password: string }> {
  const cluster = join(home, 'cluster');
  const fresh = !existsSync(cluster);
  const password = passwordIn(home, account, fresh);
  if (fresh) {
    const draft = join(home, 'cluster.new');
    rmSync(draft, { recursive: true, force: true });
    mkdirSync(draft, { mode: 0o700 });
    chownSync(draft, account.uid, account.gid);
    await initdb(draft, join(home, 'password'));
    renameSync(draft, cluster);
    sync(home);
  }
  return { cluster, password };
}
