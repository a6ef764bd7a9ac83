/**
 * Writes `docs/openapi.json`, and from it the README's table, from the routes; with `--check` only compares. Connects
 * to nothing and reads no environment: the same source must give the same document everywhere.
 */
import { randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import Fastify from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { createInbox } from '../adapters/inbox.ts';
import { loadConfig } from '../config/index.ts';
import { createActions } from '../http/actions.ts';
import openapi from '../http/openapi.ts';
import problems from '../http/problems.ts';
import type { Services } from '../http/services.ts';
import strictJson from '../http/strict-json.ts';
import { createKeyring } from '../kernel/crypto/keyring.ts';
import { routes } from '../wiring/features.ts';
import { updateReadme } from './readme.ts';

/** What registering routes looks at; no handler ever runs on it. */
export const routeServices = (): Services =>
  ({
    config: loadConfig({}),
    actions: createActions(),
    keyring: createKeyring(randomBytes(32)),
    inbox: createInbox({ now: () => 0 }),
    webhookSecrets: ['0'.repeat(64)],
  }) as unknown as Services;

/** The document of a service started without any configuration. */
export async function openapiDocument(version: string): Promise<string> {
  const app = Fastify();
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
  await app.register(openapi, { version });
  await app.register(problems);
  await app.register(strictJson);
  await app.register(routes(routeServices(), version));
  await app.ready();
  const text = `${JSON.stringify(app.swagger(), null, 2)}\n`;
  await app.close();
  return text;
}

const path = new URL('../../docs/openapi.json', import.meta.url);

if (import.meta.main) {
  const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string;
  };
  const text = await openapiDocument(version);
  const stale = !existsSync(path) || readFileSync(path, 'utf8') !== text;
  if (stale && process.argv.includes('--check')) {
    console.error('docs/openapi.json does not match the routes; run `npm run openapi`');
    process.exitCode = 1;
  } else if (stale) {
    writeFileSync(path, text);
    console.log('wrote docs/openapi.json');
    if (updateReadme({ write: true })) console.log('wrote README.md');
  }
}
