/**
 * The OpenAPI 3.1 document, generated from the very schemas that validate. Register it before any route; it must
 * never describe what is not enforced.
 */
import swagger from '@fastify/swagger';
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { createJsonSchemaTransform, createJsonSchemaTransformObject } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { createDocument, type PublicDocument, sendDocument } from './documents.ts';
import { type OpenapiDocument, tidy } from './openapi-tidy.ts';
import './problem-json.ts'; // names the Problem schema every operation refers to

export type OpenapiOptions = {
  version: string;
  /** Absolute address of the service; without it, addresses are relative to the document. */
  baseUrl?: string;
  tags?: { name: string; description: string }[];
};

type Config = NonNullable<Parameters<typeof createJsonSchemaTransform>[0]['zodToJsonConfig']>;
type Override = NonNullable<Config['override']>;

/**
 * Replaces the provider's own override, so it repeats what that does for dates and unions. Beyond it: names the
 * discriminator, drops patterns beside formats and the bounds of safe integers, which only make noise, and leaves
 * answers open, so that a new member does not break generated clients.
 */
const override: Override = ({ zodSchema, jsonSchema }) => {
  const { def } = zodSchema._zod;
  if (def.type === 'date') Object.assign(jsonSchema, { type: 'string', format: 'date-time' });
  if (def.type === 'undefined') jsonSchema.type = 'null';
  if (def.type === 'union') {
    const { discriminator } = def as { discriminator?: string };
    if (discriminator) Object.assign(jsonSchema, { discriminator: { propertyName: discriminator } });
    if (jsonSchema.anyOf) jsonSchema.anyOf = jsonSchema.anyOf.filter((one) => Object.keys(one).length > 0);
  }
  if (def.type === 'object' && !('catchall' in def && def.catchall)) delete jsonSchema.additionalProperties;
  if (jsonSchema.format && jsonSchema.pattern) delete jsonSchema.pattern;
  if (jsonSchema.minimum === Number.MIN_SAFE_INTEGER) delete jsonSchema.minimum;
  if (jsonSchema.maximum === Number.MAX_SAFE_INTEGER) delete jsonSchema.maximum;
};

/** Where zod keeps names and descriptions, hence not one of our own; `tidy` removes what no operation uses. */
const schemaRegistry = z.globalRegistry as never;
const zodToJsonConfig: Config = { override };

async function openapi(app: FastifyInstance, { version, baseUrl, tags = [] }: OpenapiOptions) {
  const toComponents = createJsonSchemaTransformObject({
    schemaRegistry,
    zodToJsonConfig,
  });
  await app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Vestibule',
        version,
        description:
          'Authentication and onboarding. Every error is an RFC 9457 problem; its `type` leads to its page.',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' } as never,
      },
      ...(baseUrl && { servers: [{ url: baseUrl }] }),
      tags,
      components: {
        securitySchemes: {
          bearerAuth: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT', description: 'An access token' },
          refreshCookie: {
            type: 'apiKey',
            in: 'cookie',
            name: '__Host-refresh_token',
            description: 'The HttpOnly refresh cookie; the prefix depends on the configuration',
          },
          balanceHubCookie: {
            type: 'apiKey',
            in: 'cookie',
            name: 'access_token',
            description: 'The HttpOnly session cookie of `POST /balance_hub/auth/login`',
          },
          serviceToken: {
            type: 'http',
            scheme: 'bearer',
            description: 'The configured INTROSPECTION_TOKEN',
          },
          flowToken: {
            type: 'http',
            scheme: 'bearer',
            bearerFormat: 'opaque',
            description: 'The `flow_token` of a flow that is under way',
          },
        },
      },
    },
    transform: createJsonSchemaTransform({ schemaRegistry, zodToJsonConfig }),
    transformObject: (document) => tidy(toComponents(document) as OpenapiDocument) as never,
  });
  let document: PublicDocument | undefined;
  app.get('/openapi.json', { schema: { hide: true } }, (request, reply) => {
    document ??= createDocument(JSON.stringify(app.swagger()));
    // May be kept, and is asked for again each time: the answer is then a short 304.
    reply.header('cache-control', 'no-cache');
    return sendDocument(request, reply, document, {
      type: 'application/json; charset=utf-8',
      compress: true,
    });
  });
}

export default fp(openapi, { name: 'openapi', fastify: '5.x' });
