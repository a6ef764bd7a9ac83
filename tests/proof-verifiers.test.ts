/** The proof verifiers of README.md, each run in a process of its own against proofs the service signs. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { signProof } from '../src/features/identity-proof/identity-proof.ts';

const run = promisify(execFile);
const folder = mkdtempSync(join(tmpdir(), 'vestibule-proofs-'));
const KEY = 'a key shared with one service only';
const page = readFileSync(new URL('../README.md', import.meta.url), 'utf8');

const RUNNERS = {
  'verify_proof.py': {
    command: 'python3',
    main: 'main.py',
    text: `import json, sys
from verify_proof import verify_proof
print(str(verify_proof(json.loads(sys.argv[1]), sys.argv[2], sys.argv[3])).lower())
`,
  },
  'verify-proof.mjs': {
    command: process.execPath,
    main: 'main.mjs',
    text: `import { verifyProof } from './verify-proof.mjs';
console.log(verifyProof(JSON.parse(process.argv[2]), process.argv[3], process.argv[4]));
`,
  },
} as const;

beforeAll(() => {
  for (const [name, runner] of Object.entries(RUNNERS)) {
    const snippet = new RegExp(`^\`\`\`\\w+ ${name.replace('.', '\\.')}\n([\\s\\S]*?)^\`\`\``, 'm').exec(
      page,
    )?.[1];
    if (!snippet) throw new Error(`README.md has no ${name}`);
    writeFileSync(join(folder, name), snippet);
    writeFileSync(join(folder, runner.main), runner.text);
  }
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const proof = (email: string, age = 0, project_id = 'd\u00e9mo') => {
  const fields = {
    auth_user_id: '3fa85f64-5717-4562-b3fc-2c963f66afa6',
    email,
    issued_at: Math.floor(Date.now() / 1000) - age,
    project_id,
    verified: true as const,
  };
  return { ...fields, signature: signProof(KEY, fields) };
};

describe.each(Object.entries(RUNNERS))('%s', (_name, { command, main }) => {
  const verdict = async (given: object, key = KEY, project = 'd\u00e9mo') =>
    (await run(command, [main, JSON.stringify(given), key, project], { cwd: folder })).stdout.trim();

  test('accepts a fresh proof, whatever characters it holds', async () => {
    expect(await verdict(proof('jos\u00e9@example.com'))).toBe('true');
    expect(await verdict(proof('"quo\\te"\n\u{1f600}@example.com'))).toBe('true');
  });

  test('refuses an altered, an old, a foreign and a differently signed one', async () => {
    expect(await verdict({ ...proof('a@example.com'), email: 'b@example.com' })).toBe('false');
    expect(await verdict(proof('a@example.com', 301))).toBe('false');
    expect(await verdict(proof('a@example.com'), KEY, 'other')).toBe('false');
    expect(await verdict(proof('a@example.com'), 'another key')).toBe('false');
  });
});
