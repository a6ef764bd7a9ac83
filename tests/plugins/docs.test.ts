/** Both documentation pages in a real browser: they show the operations and talk to nobody else. */
import { existsSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { type Browser, chromium } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { z } from 'zod';
import docs from '../../src/http/docs.ts';
import openapi from '../../src/http/openapi.ts';
import problems from '../../src/http/problems.ts';
import securityHeaders from '../../src/http/security-headers.ts';
import { serverLimits } from '../../src/http/server-limits.ts';
import strictJson from '../../src/http/strict-json.ts';

const CHROMIUM = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'].find((path) =>
  existsSync(path),
);
const outside = Object.values(networkInterfaces())
  .flat()
  .find((address) => address?.family === 'IPv4' && !address.internal)?.address;
const addresses = ['127.0.0.1', ...(outside ? [outside] : [])];

let app: FastifyInstance;
let port: number;

beforeAll(async () => {
  const flags = { https: false, demo: true };
  app = Fastify(serverLimits({ trustProxy: [], ...flags }));
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
  await app.register(securityHeaders, flags);
  await app.register(openapi, { version: '0.0.0' });
  await app.register(problems);
  await app.register(strictJson);
  await app.register(docs);
  const body = z.strictObject({ phone: z.string() }).meta({ id: 'DocsTestRequest' });
  const schema = {
    summary: 'Begin a sign-up',
    tags: ['Sign-up'],
    body,
    response: { 200: z.object({ state: z.string() }) },
  };
  app.post('/v1/things', { schema }, async () => ({ state: 'tried-out' }));
  await app.listen({ host: '0.0.0.0', port: 0 });
  port = (app.server.address() as { port: number }).port;
});

afterAll(() => app.close());

describe('policies', () => {
  test('/docs keeps to this host and does not upgrade to https', async () => {
    const policy = String((await app.inject('/docs/')).headers['content-security-policy']);
    expect(policy).toContain("default-src 'self'");
    expect(policy).not.toMatch(/upgrade-insecure|https:|swagger\.io|unsafe-eval/);
    expect(policy.match(/frame-ancestors/g)).toHaveLength(1);
  });

  test('/redoc has a policy of its own, everything else keeps the strict one', async () => {
    expect((await app.inject('/redoc')).headers['content-security-policy']).toContain("connect-src 'self'");
    for (const path of ['/openapi.json', '/redoc/redoc.js', '/nowhere', '/problems/not_found']) {
      expect((await app.inject(path)).headers['content-security-policy']).toBe(
        "default-src 'none'; frame-ancestors 'none'",
      );
    }
  });

  test('the bundle names no address it would load', async () => {
    const { body } = await app.inject('/redoc/redoc.js');
    expect(body.length).toBeGreaterThan(500_000);
    expect(body).not.toMatch(/cdn\.|fonts\.g/);
  });
});

describe.skipIf(!CHROMIUM)('in Chromium', () => {
  let browser: Browser;

  beforeAll(async () => {
    browser = await chromium.launch({
      executablePath: CHROMIUM!,
      args: ['--headless', '--no-sandbox', '--disable-gpu'],
    });
  });
  afterAll(() => browser?.close());

  async function open(address: string, path: string) {
    const page = await browser.newPage();
    const foreign: string[] = [];
    const errors: string[] = [];
    page.on('request', (request) => {
      const { protocol, host } = new URL(request.url());
      if (protocol.startsWith('http') && host !== `${address}:${port}`) foreign.push(request.url());
    });
    page.on('pageerror', (error) => errors.push(error.message));
    page.on('response', (response) => {
      if (response.status() >= 400) errors.push(`${response.status()} ${response.url()}`);
    });
    await page.goto(`http://${address}:${port}${path}`);
    return { page, foreign, errors };
  }

  test.each(addresses)('/docs on %s lists the operations and tries one out', async (address) => {
    const { page, foreign, errors } = await open(address, '/docs');
    await page.getByText('Begin a sign-up').click({ timeout: 20_000 });
    await page.getByRole('button', { name: 'Execute' }).click();
    await page.getByText('tried-out').first().waitFor({ timeout: 20_000 });
    expect(foreign).toEqual([]);
    expect(errors).toEqual([]);
    await page.close();
  });

  test.each(addresses)('/redoc on %s lists the operations and finds one', async (address) => {
    const { page, foreign, errors } = await open(address, '/redoc');
    await page.getByRole('heading', { name: 'Begin a sign-up' }).waitFor({ timeout: 20_000 });
    await page.getByPlaceholder('Search...').fill('sign-up');
    await page
      .locator('[data-role="search:results"]')
      .getByText('Begin a sign-up')
      .waitFor({ timeout: 20_000 });
    expect(foreign).toEqual([]);
    expect(errors).toEqual([]);
    await page.close();
  });
});
