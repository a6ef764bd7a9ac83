/** Each request that `next` can offer shows a body that works, so that people, the tour and tests follow it without a list. */
import Fastify, { type RouteOptions } from 'fastify';
import { serializerCompiler, validatorCompiler } from 'fastify-type-provider-zod';
import { beforeAll, describe, expect, test } from 'vitest';
import type { z } from 'zod';
import { openapiDocument, routeServices } from '../../src/cli/openapi.ts';
import { exampleOf } from '../../src/http/actions.ts';
import { routes } from '../../src/wiring/features.ts';

const offered: { name: string; body: z.ZodType }[] = [];
beforeAll(async () => {
  const app = Fastify();
  app.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
  app.addHook('onRoute', ({ method, url, config, schema }: RouteOptions) => {
    const { sends, follows = [] } = config ?? {};
    const body = schema?.body as z.ZodType | undefined;
    if (body && ((sends && sends.offered !== false) || follows.length > 0))
      offered.push({ name: `${method} ${url}`, body });
  });
  await app.register(routes(routeServices(), 'test'));
  await app.ready();
  await app.close();
});

describe('a body that `next` can ask for', () => {
  test('has a name, and an example that its own schema takes', () => {
    expect(offered.length).toBeGreaterThan(10);
    for (const { name, body } of offered) {
      expect(body.meta()?.id, name).toBeDefined();
      expect(body.safeParse(exampleOf(body)).error, name).toBeUndefined();
    }
  });

  test('stands in the published document with it', async () => {
    const { components } = JSON.parse(await openapiDocument('test'));
    for (const { name, body } of offered)
      expect(components.schemas[body.meta()?.id as string].examples, name).toEqual([exampleOf(body)]);
  });
});
