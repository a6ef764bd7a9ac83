/** `npm start` as people end it: Ctrl-C in a terminal, or a signal to npm alone. Whole processes, npm included. */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdtempSync, readFileSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, dirname, join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { bareEnvironment, freePort } from '../support/server-process.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const packaged = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url));

/** What `npm` and `node` mean in a terminal, where this repository's own packages are not on the path. */
const path = (process.env.PATH ?? '')
  .split(delimiter)
  .filter((folder) => !folder.includes('node_modules'))
  .join(delimiter);
const find = (program: string): string | undefined =>
  path
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find((file) => existsSync(file));

/** npm's program, found through `NPM_CLI` or the path: `npm-cli.js`, run by the Node that a case names. */
const npm = process.env.NPM_CLI ?? (find('npm') && realpathSync(find('npm') ?? ''));
const nodes = [...new Set([find('node'), join(packaged, 'node')])]
  .filter((node) => node !== undefined && existsSync(node))
  .map((node) => ({
    node: node as string,
    version: execFileSync(node as string, ['--version'])
      .toString()
      .trim(),
  }));

type Started = { npm: ChildProcess; url: string; output(): string };

async function start(node: string, dataDir: string, port: number): Promise<Started> {
  const child = spawn(node, [npm as string, 'start'], {
    cwd: root,
    env: {
      ...bareEnvironment(),
      PATH: `${dirname(node)}${delimiter}${path}`,
      DATA_DIR: dataDir,
      PORT: String(port),
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true, // A process group of its own, as a terminal makes one for each command.
  });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk) => (output += chunk));
  const url = `http://127.0.0.1:${port}`;
  const deadline = performance.now() + 120_000;
  const ready = () =>
    fetch(`${url}/health/ready`).then(
      (r) => r.ok,
      () => false,
    );
  while (!(await ready())) {
    if (child.exitCode !== null || performance.now() > deadline) {
      if (child.pid && child.exitCode === null) process.kill(-child.pid, 'SIGKILL');
      throw new Error(`npm start did not come up:\n${output}`);
    }
    await delay(50);
  }
  return { npm: child, url, output: () => output };
}

/** The postmaster's process id while it runs. */
function postmaster(dataDir: string): number | undefined {
  const asked = join(dataDir, 'postgres');
  const location = join(asked, 'location');
  const home = existsSync(location) ? readFileSync(location, 'utf8').trim() : asked;
  const file = ['cluster', 'data', '']
    .map((name) => join(home, name, 'postmaster.pid'))
    .find((f) => existsSync(f));
  return file === undefined ? undefined : Number(readFileSync(file, 'utf8').split('\n')[0]);
}

const runs = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return !/^\d+ \(.*\) Z/.test(readFileSync(`/proc/${pid}/stat`, 'utf8'));
  } catch {
    return false;
  }
};

const GESTURES = {
  'Ctrl-C in a terminal': (pid: number) => process.kill(-pid, 'SIGINT'),
  'SIGTERM to npm alone': (pid: number) => process.kill(pid, 'SIGTERM'),
};

describe.skipIf(npm === undefined)('with npm', () => {
  test.each(
    nodes.flatMap((each) => Object.entries(GESTURES).map(([gesture, send]) => ({ ...each, gesture, send }))),
  )(
    '$gesture ($version) ends the service and its Postgres, and the next start in the same folder works at once',
    async ({ node, send }) => {
      const dataDir = mkdtempSync(join(tmpdir(), 'vestibule-npm-'));
      chmodSync(dataDir, 0o711);
      const port = await freePort();
      try {
        for (const round of ['first', 'second']) {
          const running = await start(node, dataDir, port);
          const database = postmaster(dataDir) ?? 0;
          expect(runs(database), round).toBe(true);
          const exit = once(running.npm, 'exit');
          send(running.npm.pid as number);
          const [code] = await exit;
          expect(code, `${round}: ended in order`).toBe(0);
          expect(running.output(), round).not.toMatch(/left behind|in use|npm error|ERR!/i);
          expect(runs(database), `${round}: Postgres has ended when npm has`).toBe(false);
          await expect(fetch(running.url)).rejects.toThrow();
        }
      } finally {
        rmSync(dataDir, { recursive: true, force: true });
      }
    },
    240_000,
  );
});
