/** The published document: valid references, the names clients generate code from, and nothing unused. */
import Fastify, { type FastifyInstance } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { z } from 'zod';
import openapi from '../../src/http/openapi.ts';
import problems, { problemSchema } from '../../src/http/problems.ts';
import strictJson from '../../src/http/strict-json.ts';

// biome-ignore lint/suspicious/noExplicitAny: a JSON document is looked into freely here
let document: any;
let app: FastifyInstance;

beforeAll(async () => {
  app = Fastify();
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
  await app.register(openapi, { version: '1.2.3', tags: [{ name: 'Things', description: 'About things' }] });
  await app.register(problems);
  await app.register(strictJson);

  const shared = z.object({ id: z.uuid(), count: z.number().int() }).meta({ id: 'TestShared' });
  const request = z
    .strictObject({ email: z.email().describe('Where to write'), shared })
    .meta({ id: 'TestRequest', description: 'What to send' });
  const defaulted = z.object({ limit: z.number().default(10) }).meta({ id: 'TestDefaulted' });
  const holder = z.object({ inner: defaulted }).meta({ id: 'TestHolder' });
  z.object({ never: z.string() }).meta({ id: 'TestUnused' });
  const answer = z.discriminatedUnion('kind', [
    z.object({ kind: z.literal('a'), at: z.date() }),
    z.object({ kind: z.literal('b'), shared, nothing: z.string().nullable() }),
  ]);
  const schema = {
    tags: ['Things'],
    security: [{ bearerAuth: [] }],
    body: request,
    response: { 200: answer, 409: problemSchema, '5xx': problemSchema },
  };
  app.post(
    '/things/:id',
    { schema: { ...schema, params: z.object({ id: z.uuid() }) } },
    async () => ({}) as never,
  );
  app.put('/defaulted', { schema: { body: holder, response: { 200: holder } } }, async () => ({}) as never);
  app.delete('/nothing', { schema: { response: { 204: z.null() } } }, async () => null);
  const reply = await app.inject('/openapi.json');
  expect(reply.headers['content-type']).toBe('application/json; charset=utf-8');
  document = reply.json();
});

afterAll(() => app.close());

test('it is OpenAPI 3.1 with the documented security schemes and tags', () => {
  expect(document.openapi).toBe('3.1.0');
  expect(document.info).toMatchObject({ title: 'Vestibule', version: '1.2.3' });
  const schemes = Object.keys(document.components.securitySchemes);
  expect(schemes.toSorted()).toEqual([
    'balanceHubCookie',
    'bearerAuth',
    'flowToken',
    'refreshCookie',
    'serviceToken',
  ]);
  expect(document.tags).toEqual([{ name: 'Things', description: 'About things' }]);
});

test('it lists the operations and hides itself', () => {
  expect(Object.keys(document.paths).sort()).toEqual([
    '/defaulted',
    '/nothing',
    '/problems',
    '/problems/{code}',
    '/things/{id}',
  ]);
  expect(Object.keys(document.paths['/problems/{code}'])).toEqual(['get']);
});

test('every reference leads somewhere, and every component is used', () => {
  const text = JSON.stringify(document);
  const names = new Set([...text.matchAll(/#\/components\/schemas\/([^"]+)"/g)].map(([, name]) => name));
  expect([...names].sort()).toEqual(Object.keys(document.components.schemas).sort());
  expect(text).not.toContain('TestUnused');
});

test('a schema has one name in requests and answers unless the two really differ', () => {
  const { schemas } = document.components;
  expect(document.paths['/things/{id}'].post.requestBody.content['application/json'].schema).toEqual({
    $ref: '#/components/schemas/TestRequest',
  });
  expect(schemas.TestRequest).toMatchObject({ description: 'What to send', additionalProperties: false });
  expect(schemas.TestRequest.properties.shared).toEqual({ $ref: '#/components/schemas/TestShared' });
  expect(schemas.TestRequest.properties.email).toEqual({
    type: 'string',
    format: 'email',
    description: 'Where to write',
  });
  expect(schemas.TestRequestInput).toBeUndefined();
  expect(schemas.TestSharedInput).toBeUndefined();
  expect(schemas.TestDefaulted.required).toEqual(['limit']);
  expect(schemas.TestDefaultedInput.required).toBeUndefined();
  expect(schemas.TestHolder.properties.inner.$ref).toMatch(/TestDefaulted$/);
  expect(schemas.TestHolderInput.properties.inner.$ref).toMatch(/TestDefaultedInput$/);
});

test('formats, discriminators and integers are written for code generators', () => {
  const { oneOf, discriminator } =
    document.paths['/things/{id}'].post.responses['200'].content['application/json'].schema;
  expect(discriminator).toEqual({ propertyName: 'kind' });
  expect(oneOf[0].properties.at).toEqual({ type: 'string', format: 'date-time' });
  expect(oneOf[1].properties.nothing).toEqual({ type: ['string', 'null'] });
  expect(document.components.schemas.TestShared.properties.count).toEqual({ type: 'integer' });
  expect(document.components.schemas.TestShared.properties.id).toEqual({ type: 'string', format: 'uuid' });
});

test('every operation documents its problems under their media type, in words', () => {
  // biome-ignore lint/suspicious/noExplicitAny: as above
  const operations = Object.values(document.paths).flatMap((path) => Object.values(path as any)) as any[];
  for (const { responses } of operations) {
    expect(responses.default.content['application/problem+json'].schema.$ref).toBe(
      '#/components/schemas/Problem',
    );
    expect(JSON.stringify(responses)).not.toContain('Default Response');
  }
  const { responses } = document.paths['/things/{id}'].post;
  expect(Object.keys(responses['409'].content)).toEqual(['application/problem+json']);
  expect(responses['409'].description).toBe('Conflict');
});
