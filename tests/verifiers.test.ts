/**
 * Verifiers that are not ours accept a fresh token by JWKS alone and refuse a LIMITED one where FULL is asked for.
 * They are the very snippets of docs/verify.md, each run in a process of its own.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createTestApp, type TestApp } from './support/app.ts';
import { onDatabase, signUp } from './support/signed-in.ts';

const run = promisify(execFile);
const root = fileURLToPath(new URL('..', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'vestibule-verify-'));
const file = (name: string) => join(folder, name);

const NODE_MAIN = (snippet: string) => `
import { verifyAccessToken } from './${snippet}';
const [token, jwksUrl, issuer, audience] = process.argv.slice(2);
console.log(JSON.stringify(await verifyAccessToken(token, { jwksUrl, issuer, audience })));
`;
const PYTHON_MAIN = `
import json, sys
from verify_pyjwt import verify_access_token
print(json.dumps(verify_access_token(*sys.argv[1:5])))
`;

const installed = (name: string) => {
  try {
    return Boolean(createRequire(import.meta.url).resolve(name));
  } catch {
    return false;
  }
};

/** A Python that has PyJWT, made in a folder of its own when pip can reach an index; else why there is none. */
async function pythonWithPyJwt(): Promise<string | { skipped: string }> {
  const works = (python: string) =>
    run(python, ['-c', 'import jwt, cryptography'], { timeout: 20_000 }).then(
      () => true,
      () => false,
    );
  if (await works('python3')) return 'python3';
  const python = file('venv/bin/python');
  try {
    await run('python3', ['-m', 'venv', file('venv')], { timeout: 60_000 });
    const quiet = ['--quiet', '--disable-pip-version-check', '--retries', '0', '--timeout', '10'];
    await run(python, ['-m', 'pip', 'install', ...quiet, 'pyjwt[crypto]==2.10.1'], { timeout: 90_000 });
  } catch (error) {
    return { skipped: `PyJWT could not be installed: ${(error as Error).message.split('\n', 1)[0]}` };
  }
  return (await works(python)) ? python : { skipped: 'PyJWT does not load' };
}

let python: Awaited<ReturnType<typeof pythonWithPyJwt>>;
beforeAll(async () => {
  const page = readFileSync(join(root, 'docs/verify.md'), 'utf8');
  for (const [, name, text] of page.matchAll(/^```\w+ (\S+)\n([\s\S]*?)^```$/gm))
    writeFileSync(file(name as string), text as string);
  for (const name of ['verify-node-crypto.mjs', 'verify-jsonwebtoken.mjs'])
    writeFileSync(file(`main-${name}`), NODE_MAIN(name));
  writeFileSync(file('main.py'), PYTHON_MAIN);
  symlinkSync(join(root, 'node_modules'), file('node_modules'));
  python = await pythonWithPyJwt();
}, 200_000);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

describe.each(['RS256', 'ES256'])('%s', (JWT_ALGORITHM) => {
  let app: TestApp;
  let tokens: { limited: string; full: string };
  let jwksUrl: string;
  beforeAll(async () => {
    app = await createTestApp({ env: { JWT_ALGORITHM } });
    jwksUrl = `${await app.server.listen({ host: '127.0.0.1', port: 0 })}/.well-known/jwks.json`;
    const person = await signUp(app);
    await onDatabase(
      app.databaseUrl,
      (sql) => sql`update accounts set tier = 'FULL' where id = ${person.userId}`,
    );
    const body = { refresh_token: person.refresh };
    const full = (await app.call('POST', '/v1/auth/refresh', { body })).body.access_token;
    tokens = { limited: person.access, full };
  });
  afterAll(() => app.close());

  async function proves(command: string, args: string[]) {
    const { issuer, audience } = app.services.config.jwt;
    const ask = (token: string, aud: string) =>
      run(command, [...args, token, jwksUrl, issuer, aud], { cwd: folder, timeout: 30_000 }).then(
        ({ stdout }) => JSON.parse(stdout),
        (error: { code: number }) => `exit ${error.code}`,
      );
    expect(await ask(tokens.full, audience)).toMatchObject({ tier: 'FULL', aud: audience, iss: issuer });
    expect(await ask(tokens.limited, `${audience}:limited`)).toMatchObject({ tier: 'LIMITED' });
    expect(await ask(tokens.limited, audience)).toBe('exit 1');
    expect(await ask(tokens.full, `${audience}:limited`)).toBe('exit 1');
    const [head, body, signature = ''] = tokens.full.split('.');
    const other = signature.startsWith('A') ? `B${signature.slice(1)}` : `A${signature.slice(1)}`;
    expect(await ask(`${head}.${body}.${other}`, audience)).toBe('exit 1');
  }

  test('node:crypto alone', () => proves(process.execPath, [file('main-verify-node-crypto.mjs')]));

  test.skipIf(!installed('jsonwebtoken'))('jsonwebtoken (skipped where it is not installed)', () =>
    proves(process.execPath, [file('main-verify-jsonwebtoken.mjs')]),
  );

  test('PyJWT', async ({ skip }) => {
    if (typeof python !== 'string') return skip(python.skipped);
    await proves(python, [file('main.py')]);
  });
});
