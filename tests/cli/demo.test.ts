/** The narrated tour as people and CI run it: its own processes, embedded Postgres, real curl. */
import { execFile } from 'node:child_process';
import { chmodSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { bareEnvironment } from '../support/server-process.ts';

const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

/** In a temporary folder of its own, so that what it leaves behind can be seen. */
async function tour(env: Record<string, string> = {}) {
  const temporary = mkdtempSync(join(tmpdir(), 'vestibule-tour-'));
  chmodSync(temporary, 0o711);
  const { code, output } = await new Promise<{ code: number; output: string }>((resolve) => {
    const options = { env: { ...bareEnvironment(), TMPDIR: temporary, ...env } };
    execFile(process.execPath, [main, 'demo', '--fast'], options, (error, stdout, stderr) =>
      resolve({ code: error ? Number(error.code) : 0, output: stdout + stderr }),
    );
  });
  const left = readdirSync(temporary);
  rmSync(temporary, { recursive: true, force: true });
  return { code, output, left };
}

test('tells everything from a phone to a FULL login, with a refusal and a limit, and cleans up', async () => {
  const { code, output, left } = await tour();
  expect(code, output).toBe(0);
  expect(output).toContain('UNVERIFIED.credentials_set → LIMITED.kyc_none');
  expect(output).toContain('LIMITED.kyc_submitted → FULL');
  expect(output).toContain('L4_step_up → L6_result.AUTHENTICATED');
  for (const status of ['  409  ', '  429  ']) expect(output).toContain(status);
  expect(output).toMatch(/Docs +http:\/\/127\.0\.0\.1:\d+\/docs/);
  // biome-ignore lint/suspicious/noControlCharactersInRegex: the escape that begins every colour
  expect(output, 'colour only in a terminal').not.toMatch(/\x1b/);
  expect(output, 'tokens stay names').not.toMatch(/Bearer [^$]/);
  expect(left).toEqual([]);
  const url = /http:\/\/127\.0\.0\.1:\d+/.exec(output)?.[0] ?? '';
  await expect(fetch(url)).rejects.toThrow();
}, 180_000);

test('an answer that is not as told ends it with an error', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'vestibule-curl-'));
  writeFileSync(join(folder, 'curl'), '#!/bin/sh\nprintf \'{"status":"otp_sent"}\\n500\'\n', { mode: 0o755 });
  const { code, output, left } = await tour({ PATH: `${folder}:${process.env.PATH}` });
  rmSync(folder, { recursive: true, force: true });
  expect(code, output).toBe(1);
  expect(output).toContain('Not as told: status 500, not 200; state is missing, not code_sent.');
  expect(left).toEqual([]);
});
