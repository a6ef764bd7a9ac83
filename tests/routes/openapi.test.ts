/** The published document of the real service: every route is in it, every answer it names is one a route can give. */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openapiDocument } from '../../src/cli/openapi.ts';
import { createTestApp, type TestApp } from '../support/app.ts';
import { routeTable } from './route-table.ts';

type Response = { content?: Record<string, { schema?: unknown }> };
type Operation = {
  summary?: string;
  tags?: string[];
  security?: object[];
  requestBody?: { required?: boolean };
  responses: Record<string, Response>;
};
type Document = {
  openapi: string;
  info: { version: string };
  paths: Record<string, Record<string, Operation>>;
  components: { schemas: Record<string, unknown> };
};

let app: TestApp;
let document: Document;
beforeAll(async () => {
  app = await createTestApp();
  document = (await app.call('GET', '/openapi.json')).body;
});
afterAll(() => app.close());

/** Pages for people and the bridge of the inspector's viewer, not part of the API. */
const PAGES = /^\/(docs|redoc|console|openapi\.json|dev\/inspect(\.js)?|dev\/api\/inspect)(\/|$)/;

const operations = () =>
  Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({
      name: `${method.toUpperCase()} ${path}`,
      operation,
    })),
  );

test('names an operation for every registered route, and none besides', () => {
  const registered = routeTable(app.server)
    .filter(({ path }) => !PAGES.test(path))
    .map(({ method, path }) => `${method} ${path.replace(/:([a-z_]+)/g, '{$1}')}`);
  expect(
    operations()
      .map(({ name }) => name)
      .sort(),
  ).toEqual([...new Set(registered)].sort());
});

test('is OpenAPI 3.1 whose references all resolve, with a summary, a tag and a security on each operation', () => {
  expect(document.openapi).toMatch(/^3\.1\./);
  const text = JSON.stringify(document);
  for (const [, name] of text.matchAll(/"#\/components\/schemas\/([^"]+)"/g))
    expect(document.components.schemas[name!], name).toBeDefined();
  for (const { name, operation } of operations()) {
    expect(operation.summary, name).toMatch(/\S/);
    expect(operation.tags?.length, name).toBe(1);
    expect(Array.isArray(operation.security), name).toBe(true);
    if (/^(POST|PUT|PATCH) /.test(name)) expect(Object.keys(operation.responses), name).toContain('400');
  }
});

test('describes every refusal as a problem', () => {
  for (const { name, operation } of operations()) {
    expect(operation.responses.default, name).toBeDefined();
    for (const [status, { content }] of Object.entries(operation.responses)) {
      if (!/^[45]|default/.test(status) || /^GET \/health/.test(name)) continue;
      expect(Object.keys(content ?? {}), `${name} ${status}`).toEqual(['application/problem+json']);
      expect(content?.['application/problem+json']?.schema, name).toEqual({
        $ref: '#/components/schemas/Problem',
      });
    }
  }
});

test('a route that demands a token says 401; every schema that `next` can name is a schema of the document', () => {
  for (const { name, operation } of operations()) {
    const secured = operation.security?.some((s) => Object.keys(s).length > 0);
    if (secured) expect(Object.keys(operation.responses), name).toContain('401');
  }
  for (const schema of [
    'SendOtp',
    'VerifyOtp',
    'StepUp',
    'SignupPhone',
    'SignupVerifyOtp',
    'SetPassword',
    'Profile',
    'SubmitKyc',
  ])
    expect(document.components.schemas[schema], schema).toBeDefined();
});

test('the committed file is what the routes say now, whatever the environment', async () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8'));
  const committed = readFileSync('docs/openapi.json', 'utf8');
  expect(await openapiDocument(version)).toBe(committed);
  expect(JSON.parse(committed).info.version).toBe(version);
  expect(document).toEqual({
    ...JSON.parse(committed),
    info: { ...JSON.parse(committed).info, version: 'test' },
  });
});
