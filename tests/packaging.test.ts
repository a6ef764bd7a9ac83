/** What is shipped beside the image, which `npm run test:container` runs: its packages, settings, check script and licence. */
import { execFileSync } from 'node:child_process';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { builtinModules } from 'node:module';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { VARIABLES } from '../src/config/variables.ts';

const root = new URL('../', import.meta.url);
const text = (path: string): string => readFileSync(new URL(path, root), 'utf8');
const manifest = JSON.parse(text('package.json')) as Record<string, Record<string, string>>;

describe('runtime packages', () => {
  const files = ['src', 'machines', 'db'].flatMap((folder) =>
    readdirSync(new URL(folder, root), { recursive: true, encoding: 'utf8' })
      .filter((name) => name.endsWith('.ts'))
      .map((name) => `${folder}/${name}`),
  );

  test('nothing that runs in production statically imports a package that is left out there', () => {
    const known = new Set([...Object.keys(manifest.dependencies ?? {}), ...builtinModules]);
    // Generators are run by developers only.
    const shipped = files.filter((file) => !/^src\/(cli|diagrams)\//.test(file));
    const missing = shipped.flatMap((file) =>
      [...text(file).matchAll(/^(?:import|export)\s+(?!type\b)(?:[^'";]*?\sfrom\s+)?'([^'.][^']*)'/gm)]
        .map(([, specifier = '']) => specifier)
        .filter((specifier) => !specifier.startsWith('node:'))
        .map((specifier) => /^(?:@[^/]+\/)?[^/]+/.exec(specifier)?.[0] ?? specifier)
        .filter((name) => !known.has(name))
        .map((name) => `${file}: ${name}`),
    );
    expect(files.length).toBeGreaterThan(10);
    expect(missing).toEqual([]);
  });

  test('the environment is read in one place', () => {
    const readers = files.filter((file) =>
      /\bprocess\.env\b/.test(text(file).replaceAll(/\/\*[\s\S]*?\*\//g, '')),
    );
    expect(readers).toEqual(['src/config/index.ts']);
  });
});

test('compose.yaml sets only variables that the service reads', () => {
  const { services } = parse(text('compose.yaml'), { merge: true }) as {
    services: Record<string, { environment?: Record<string, string> }>;
  };
  const known = new Set(Object.entries(VARIABLES).flatMap(([name, { aliases }]) => [name, ...aliases]));
  for (const name of ['vestibule', 'production']) {
    const set = Object.keys(services[name]?.environment ?? {});
    expect(set.length).toBeGreaterThan(3);
    expect(set.filter((variable) => !known.has(variable))).toEqual([]);
  }
});

describe('the check script', () => {
  test('is valid bash, executable, and the only step of the workflow', () => {
    execFileSync('bash', ['-n', new URL('.ci/run', root).pathname]);
    expect(statSync(new URL('.ci/run', root)).mode & 0o111).not.toBe(0);
    const workflow = parse(text('.github/workflows/ci.yml')) as {
      permissions: unknown;
      jobs: { check: { steps: { run?: string }[] } };
    };
    expect(workflow.jobs.check.steps.flatMap(({ run }) => run ?? [])).toEqual(['bash .ci/run']);
    expect(workflow.permissions).toEqual({ contents: 'read' });
  });

  test('runs only commands that package.json has, or may have', () => {
    const scripts = [
      ...text('.ci/run')
        .replaceAll(/^\s*#.*$/gm, '')
        .matchAll(/npm (?:run (--if-present )?)?(\w+)/g),
    ]
      .filter(([, optional, name]) => !optional && name !== 'ci' && name !== 'exec')
      .map(([, , name = '']) => name);
    expect(scripts).toEqual(expect.arrayContaining(['typecheck', 'lint', 'test']));
    expect(scripts.filter((name) => !(name in (manifest.scripts ?? {})))).toEqual([]);
  });
});

test('the licence is Apache 2.0', () => {
  expect(text('LICENSE')).toMatch(/Apache License\s+Version 2\.0, January 2004/);
  expect(text('LICENSE')).toContain('The Vestibule Authors');
  expect(manifest.license).toBe('Apache-2.0');
});
