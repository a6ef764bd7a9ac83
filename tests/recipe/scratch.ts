/** A copy of the tree on which a newcomer's edits are made and every promise of the recipe is checked. */
import { execFile } from 'node:child_process';
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const root = fileURLToPath(new URL('../../', import.meta.url));
const LEFT_OUT = new Set(['node_modules', '.git', '.data', 'coverage']);

/** By file: what is written anew, or what is put after (`after`) or in place of (`instead`) a text that stands there once. */
export type Edits = Record<
  string,
  string | ({ after: string; put: string } | { instead: string; put: string })[]
>;

export type Scratch = {
  folder: string;
  /** Files that were written by hand. */
  written(): string[];
  edit(edits: Edits): void;
  /** Runs a program of the tree; its output. @throws Error with the output when it fails. */
  run(program: string, ...args: string[]): Promise<string>;
  remove(): void;
};

export function scratchCopy(): Scratch {
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-recipe-'));
  for (const name of readdirSync(root).filter((name) => !LEFT_OUT.has(name)))
    cpSync(join(root, name), join(folder, name), {
      recursive: true,
      filter: (path) => !LEFT_OUT.has(basename(path)),
    });
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'));
  const written = new Set<string>();
  return {
    folder,
    written: () => [...written].sort(),
    edit(edits) {
      for (const [file, edit] of Object.entries(edits)) {
        written.add(file);
        const path = join(folder, file);
        mkdirSync(dirname(path), { recursive: true });
        writeFileSync(
          path,
          typeof edit === 'string' ? edit : edit.reduce(applied(file), readFileSync(path, 'utf8')),
        );
      }
    },
    async run(program, ...args) {
      const path = join(folder, 'node_modules', '.bin', program);
      // The copy stands for itself: it starts a Postgres of its own unless one is given.
      const env = { ...process.env, VITEST: undefined, VITEST_WORKER_ID: undefined, NODE_ENV: undefined };
      const options = { cwd: folder, env, maxBuffer: 2 ** 26 };
      try {
        const { stdout, stderr } = await promisify(execFile)(path, args, options);
        return stdout + stderr;
      } catch (error) {
        const { stdout = '', stderr = '' } = error as { stdout?: string; stderr?: string };
        throw new Error(`${program} ${args.join(' ')} failed\n${stdout}${stderr}`.slice(-12_000));
      }
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

const applied =
  (file: string) =>
  (text: string, edit: { after: string; put: string } | { instead: string; put: string }): string => {
    const anchor = 'after' in edit ? edit.after : edit.instead;
    if (text.split(anchor).length !== 2) throw new Error(`${file} does not hold once: ${anchor}`);
    return text.replace(anchor, () => ('after' in edit ? anchor + edit.put : edit.put));
  };

/** What the named scripts of the recipe make, in their order, and what the linter says; none of it is written by hand. */
export async function generate({ run }: Scratch, { migration = false } = {}): Promise<void> {
  if (migration) await run('drizzle-kit', 'generate', '--name', 'step');
  // Formats what was written, and fails on what the linter refuses.
  await run('biome', 'check', '--write', '--error-on-warnings', 'machines', 'db', 'src', 'tests');
  await run('node', 'tests/machines/make-fixtures.ts');
  await run('biome', 'format', '--write', 'tests/machines');
  for (const script of ['env', 'diagrams', 'openapi', 'readme']) await run('node', `src/cli/${script}.ts`);
}

/** Types, gates, old flows, borders between parts, the published document, and the step's own test. */
export async function verify({ run }: Scratch, stepTest: string): Promise<void> {
  await run('tsc', '--noEmit');
  const tests = [
    'tests/machines/',
    'tests/floors.test.ts',
    'tests/architecture.test.ts',
    'tests/settings.test.ts',
  ];
  await run('vitest', 'run', '--maxWorkers=2', ...tests, 'tests/routes/examples.test.ts', stepTest);
}
