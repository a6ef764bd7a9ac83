/** The README is run as it stands: its commands in order, twice, by a POSIX shell and a real curl against a real server. */
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { refreshed } from '../src/cli/readme.ts';
import { createDatabase, redisUrl, type TestDatabase } from './support/database.ts';
import { type ServerProcess, startServerProcess } from './support/server-process.ts';

const readme = readFileSync(new URL('../README.md', import.meta.url), 'utf8');
const HOST = 'http://127.0.0.1:8000';

type Step = { command: string; status: number | null; fields: [name: string, values: string[]][] };

/** Every block marked runnable, with the line of expectations below it (`→ `status` `field=value|other``). */
function stepsOf(markdown: string): Step[] {
  const blocks = markdown.matchAll(/^```sh runnable\n(.*?)^```\n(?:\n→ ([^\n]*)\n)?/gms);
  return [...blocks].map(([, command = '', expected = '']) => {
    const [status, ...fields] = [...expected.matchAll(/`([^`]*)`/g)].map(([, code = '']) => code);
    return {
      command,
      status: status === undefined ? null : Number(status),
      fields: fields
        .filter((field) => field.includes('='))
        .map((field) => {
          const [name = '', ...value] = field.split('=');
          return [name, value.join('=').split('|')];
        }),
    };
  });
}

/** The commands as the documents give them; only the host may differ. */
const DOCUMENTED = [
  ['/v1/auth/send-otp', '"phone": "+15555555555"'],
  ['/v1/auth/verify-otp', '"phone": "+15555555555",\n    "otp": "000000"'],
  ['/v1/auth/signup/phone', '"phone": "+15555555555"'],
  ['/v1/auth/signup/verify-otp', '"phone": "+15555555555",\n    "otp": "000000"'],
  ['/v1/auth/signup/set-password', '"phone": "+15555555555",\n    "password": "StrongPassword@123"'],
].map(
  ([path, body]) =>
    `curl -X POST ${HOST}${path} \\\n  -H "Content-Type: application/json" \\\n  -d '{\n    ${body}\n  }'\n`,
);

const steps = stepsOf(readme);
const hasCurl = (() => {
  try {
    execFileSync('curl', ['--version']);
    return true;
  } catch {
    return false;
  }
})();

test('the five documented commands come first, in their order, unchanged but for the host', () => {
  expect(steps.slice(1, 6).map(({ command }) => command)).toEqual(DOCUMENTED);
});

test('every command that answers is followed by what it answers', () => {
  const silent = steps.filter(({ command, status }) => command.includes(HOST) && status === null);
  expect(silent).toEqual([]);
  expect(steps.length).toBeGreaterThan(15);
});

test('the tables of routes and reserved identifiers are those of the code', () => {
  const document = JSON.parse(readFileSync(new URL('../docs/openapi.json', import.meta.url), 'utf8'));
  expect(refreshed(readme, document) === readme, 'run `npm run readme`').toBe(true);
});

test('every relative link and picture exists', () => {
  const links = [...readme.matchAll(/(?:\]\(|src="|srcset=")(?!https?:|#)([^)"#]+)/g)].map(
    ([, path = '']) => path,
  );
  expect(links.length).toBeGreaterThan(10);
  for (const path of links) expect(() => execFileSync('test', ['-e', path]), path).not.toThrow();
});

describe.skipIf(!hasCurl)('with curl (skipped where it is not installed)', () => {
  let database: TestDatabase;
  let server: ServerProcess;
  beforeAll(async () => {
    database = await createDatabase();
    const redis = redisUrl();
    server = await startServerProcess({
      DATABASE_URL: database.url,
      ...(redis ? { REDIS_URL: redis } : {}),
    });
  });
  afterAll(async () => {
    await server?.stop();
    await database?.drop();
  });

  /** All steps in one shell, as somebody pastes them; the answer after each one. */
  async function run(): Promise<string[]> {
    const mark = '=====answer=====';
    const script = steps
      .map(
        ({ command }) =>
          `${command.replaceAll(HOST, server.url)}\nprintf '%s%s' '${mark}' "\${ANSWER-}" >&3\n`,
      )
      .join('');
    // Answers go to descriptor 3, what a person would see is dropped.
    const { stdout } = await promisify(execFile)('sh', ['-c', `exec 3>&1 >/dev/null\n${script}`]);
    return stdout.split(mark).slice(1);
  }

  test.each(['first', 'second'])('the commands answer as written, the %s time', async () => {
    const answers = await run();
    expect(answers).toHaveLength(steps.length);
    steps.forEach(({ command, status, fields }, index) => {
      if (status === null) return;
      const [, body = '', code] = /^(.*)\n(\d{3})$/s.exec(answers[index] ?? '') ?? [];
      const told = `${command}\n${answers[index]}`;
      expect(Number(code), told).toBe(status);
      if (fields.length === 0) return;
      const answer = JSON.parse(body) as Record<string, unknown>;
      for (const [name, values] of fields) {
        const value = answer[name];
        const text = value === undefined ? '' : typeof value === 'string' ? value : JSON.stringify(value);
        expect(values, `${name} of ${told}`).toContain(text);
      }
    });
  });

  test('the start names only addresses that answer', async () => {
    const urls = server.output().match(/http:\S+/g) ?? [];
    expect(urls.length).toBeGreaterThan(1);
    for (const url of urls) expect((await fetch(url)).status, url).toBe(200);
  });
});
