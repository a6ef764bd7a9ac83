/** Rotating and withdrawing signing keys while services run: two of them on one database. */
import { afterAll, beforeAll, expect, test } from 'vitest';
import { UsageError } from '../../src/cli/command.ts';
import { command as keysCommand, runKeys } from '../../src/cli/keys.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { GRANT } from '../tokens/helpers.ts';

let service: TestApp;
let command: TestApp;
beforeAll(async () => {
  service = await createTestApp();
  command = await createTestApp({ databaseUrl: service.databaseUrl, secrets: service.secrets });
});
afterAll(async () => {
  await command.close();
  await service.close();
});

const keys = (...args: string[]) => runKeys(command.services, args);
const later = (ms: number) => {
  for (const app of [service, command]) app.clock.advance(ms);
};

test('a rotation waits until the next key was published, then old tokens go on until their key is withdrawn', async () => {
  const { tokens } = service.services;
  await service.services.keys.refresh();
  const old = service.services.keys.keys().signing.kid;
  expect(await keys('list')).toMatch(new RegExp(`^${old} {2}ES256 {2}active .*\\n.* next `));
  await expect(keys('rotate')).rejects.toThrow(/not been published long enough.*\(in \d+ s\)/);
  expect(service.services.keys.keys().signing.kid).toBe(old);

  later(306_000);
  const { token } = await tokens.issueAccessToken(GRANT);
  const listed = await keys('rotate');
  expect(listed).toMatch(new RegExp(`${old} {2}ES256 {2}retiring`));
  expect(listed).not.toContain('"d"');
  await service.services.keys.refresh();
  expect(service.services.keys.keys().signing.kid).not.toBe(old);
  await expect(tokens.verifyAccessToken(token)).resolves.toMatchObject({ sub: `user:${GRANT.accountId}` });
  await expect(command.services.tokens.verifyAccessToken(token)).resolves.toBeDefined();

  expect(await keys('withdraw', old)).toMatch(new RegExp(`${old} {2}ES256 {2}retired`));
  await service.services.keys.refresh();
  for (const app of [service, command])
    await expect(app.services.tokens.verifyAccessToken(token)).rejects.toMatchObject({
      code: 'invalid_token',
    });
  const fresh = await tokens.issueAccessToken(GRANT);
  await expect(command.services.tokens.verifyAccessToken(fresh.token)).resolves.toBeDefined();
});

test('what it does not understand is one line', async () => {
  await expect(keys('withdraw', 'nobody')).rejects.toThrow('there is no key nobody');
  await expect(keysCommand.run(['withdraw'])).rejects.toThrow(UsageError);
  await expect(keysCommand.run(['burn'])).rejects.toThrow(UsageError);
});
