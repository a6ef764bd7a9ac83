/** The commands as a shell runs them: help, exit codes, and the two ways to reach the program. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { createDatabase, createEmptyDatabase } from '../support/database.ts';
import { bareEnvironment } from '../support/server-process.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as {
  version: string;
  bin: Record<string, string>;
};
const program = join(root, manifest.bin.vestibule ?? '');

/** As an executable file, by the Node of this run. */
async function vestibule(args: string[], env: Record<string, string> = {}, file = program) {
  const path = `${dirname(process.execPath)}:${bareEnvironment().PATH}`;
  const child = spawn(file, args, {
    cwd: tmpdir(),
    env: { ...bareEnvironment(), PATH: path, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.on('data', (chunk) => (stdout += chunk));
  child.stderr.on('data', (chunk) => (stderr += chunk));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, stdout, stderr };
}

const commands = ['start', 'migrate', 'keys', 'import', 'demo'];

test('help names every command and every exit code, each command has help of its own, and none of it needs a database', async () => {
  const help = await vestibule(['--help']);
  expect(help).toMatchObject({ code: 0, stderr: '' });
  const listed = [...help.stdout.matchAll(/^ {2}(\w+) {2,}[A-Z]/gm)].map(([, name]) => name);
  expect(listed).toEqual(expect.arrayContaining(commands));
  expect([...help.stdout.matchAll(/^ {2}(\d+) {2}/gm)].map(([, code]) => code)).toEqual(['0', '1', '2']);
  for (const name of listed) {
    for (const args of [
      [name as string, '--help'],
      [name as string, '-h', '--unknown'],
    ]) {
      expect(await vestibule(args, { PORT: 'abc' })).toEqual({
        code: 0,
        stdout: expect.stringMatching(new RegExp(`^usage: vestibule ${name}\\b`)),
        stderr: '',
      });
    }
  }
  expect(await vestibule(['--version'])).toMatchObject({ code: 0, stdout: `${manifest.version}\n` });
});

test.each([
  [[], /^$/],
  [['burn'], /^there is no command "burn"/],
  [['constructor'], /^there is no command "constructor"/],
  [['start', 'now'], /Unexpected argument 'now'/],
  [['start', '--port=1'], /Unknown option '--port'/],
  [['migrate', '--force'], /Unknown option '--force'/],
  [['keys'], /^one of list, rotate and withdraw is needed$/m],
  [['keys', 'withdraw'], /^withdraw takes exactly one <kid>$/m],
  [['keys', 'list', 'all'], /^list takes no argument$/m],
  [['import', 'users.jsonl'], /^--format must be one of /],
  [['import', '--format', 'clerk'], /^exactly one FILE\.jsonl is needed$/m],
  [['demo', '--slow'], /Unknown option '--slow'/],
])('%j is wrong usage: exit code 2, and nothing is started', async (args, complaint) => {
  const { code, stdout, stderr } = await vestibule(args, { DATABASE_URL: 'postgres://127.0.0.1:1/x' });
  expect(code).toBe(2);
  expect(stderr).toMatch(complaint);
  expect(stdout + stderr).toContain('usage: vestibule');
  expect(stderr).not.toMatch(/^ +at /m);
});

test('a failure is exit code 1 and its reason', async () => {
  const nowhere = { DATABASE_URL: 'postgres://127.0.0.1:1/x' };
  for (const args of [['migrate'], ['keys', 'list'], ['start']]) {
    expect(await vestibule(args, nowhere)).toEqual({
      code: 1,
      stdout: '',
      stderr: expect.stringMatching(/^DATABASE_URL: .*ECONNREFUSED\n$/),
    });
  }
  const missing = await vestibule(['import', '--format', 'clerk', '/no/such/file'], nowhere);
  expect(missing).toMatchObject({ code: 1, stderr: expect.stringContaining('/no/such/file') });
});

describe('on a database', () => {
  test('migrate applies what is missing once, and says when nothing is', async () => {
    const database = await createEmptyDatabase();
    const env = { DATABASE_URL: database.url };
    const runs = [await vestibule(['migrate'], env), await vestibule(['migrate'], env)];
    await database.drop();
    expect(runs).toEqual([
      { code: 0, stdout: expect.stringMatching(/^Migrations applied: \d+\.\n$/), stderr: '' },
      { code: 0, stdout: 'The database is at the newest schema.\n', stderr: '' },
    ]);
  });

  test('the result of a command is all of standard output, and a link to the program runs it as well', async () => {
    const database = await createDatabase();
    const folder = mkdtempSync(join(tmpdir(), 'vestibule-cli-'));
    chmodSync(folder, 0o711);
    const link = join(folder, 'vestibule');
    symlinkSync(program, link);
    writeFileSync(join(folder, 'users.jsonl'), '{"nonsense": true}\n');
    const env = { DATABASE_URL: database.url, DATA_DIR: folder, PASSWORD_BCRYPT_COST: '12' };
    const keys = await vestibule(['keys', 'list'], env, link);
    const users = await vestibule(['import', '--format', 'clerk', join(folder, 'users.jsonl')], env, link);
    await database.drop();
    rmSync(folder, { recursive: true, force: true });
    expect(keys.stderr).toBe('Set, but without effect: PASSWORD_BCRYPT_COST\n');
    expect(keys.code).toBe(0);
    expect(keys.stdout.trim().split('\n')).toEqual(
      expect.arrayContaining([expect.stringMatching(/^\S+ {2}\w+ +active +since /)]),
    );
    expect(users.stdout).toMatch(/^\w+: 1\n$/);
    expect(users.stderr).toContain('line 1: ');
  });
});
