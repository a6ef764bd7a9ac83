/**
 * The way a request body becomes a value: strict UTF-8 JSON under exactly one media type. Nothing may be parsed that is
 * not validated: another parser exists only in the scope of a route that says so in its `config.formBody`.
 */
import { isUtf8 } from 'node:buffer';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import { Problem } from '../kernel/problems.ts';
import { malformed, parsed, scanJson } from './json-scan.ts';

declare module 'fastify' {
  interface FastifyRequest {
    /** The bytes as received; only on routes with `config.rawBody` inside {@link registerRawJson}. */
    rawBody?: Buffer;
  }
  interface FastifyContextConfig {
    rawBody?: boolean;
    /** A form instead of JSON (a page's own), or beside it; the scope registers the parser for it. */
    formBody?: 'only' | 'or-json';
  }
}

/** 64 KiB, in bytes. Other bodies have the server's limit (16 KiB). */
export const WEBHOOK_BODY_LIMIT = 64 * 1024;

const MEDIA_TYPE = /^application\/json(?: ?; ?charset=(?:utf-8|"utf-8"))?$/i;
const FORM = /^application\/x-www-form-urlencoded(?: ?; ?charset=utf-8)?$/i;
const TYPES = { only: [FORM], 'or-json': [MEDIA_TYPE, FORM] };

/** Throws malformed_body. Takes the bytes, so that a webhook can check its signature before anything reads them. */
export function parseStrictJson(bytes: Buffer): unknown {
  if (bytes.length === 0) throw malformed('The body is empty.');
  if (bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf) {
    throw malformed('The body begins with a byte order mark.');
  }
  if (!isUtf8(bytes)) throw malformed('The body is not valid UTF-8.');
  const text = bytes.toString('utf8');
  scanJson(text);
  return parsed(text);
}

async function strictJson(app: FastifyInstance) {
  app.decorateRequest('rawBody', undefined);
  app.removeAllContentTypeParsers();
  app.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, bytes: Buffer) => parseStrictJson(bytes),
  );
  // Fastify's own matching is more forgiving than ours: parameters, white space.
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const { formBody } = request.routeOptions.config;
    const readable = isReadable(request.headers, formBody ? TYPES[formBody] : [MEDIA_TYPE]);
    done(request.is404 || readable ? null : new Problem('unsupported_media_type'), payload);
  });
}

function isReadable(headers: FastifyRequest['headers'], types: RegExp[]): boolean {
  const length = headers['content-length'];
  const hasBody = headers['transfer-encoding'] !== undefined || (length !== undefined && length !== '0');
  if (!hasBody) return true;
  const encoding = headers['content-encoding'] ?? 'identity';
  const type = headers['content-type'] ?? '';
  return types.some((one) => one.test(type)) && encoding.toLowerCase() === 'identity';
}

export type RawJsonOptions = {
  /** Runs on the raw bytes, before they are parsed; throws invalid_signature to refuse. */
  verify(request: FastifyRequest & { rawBody: Buffer }): void | Promise<void>;
};

/**
 * For webhooks: inside `scope`, routes with `config: { rawBody: true }` keep their bytes as `request.rawBody`;
 * `verify` sees them first and only then are they parsed into `request.body` and validated against the route's
 * schema. Call it in an encapsulated scope:
 *
 *     app.register(async (scope) => {
 *       registerRawJson(scope, { verify });
 *       scope.post('/webhooks/kyc', { config: { rawBody: true }, schema: { body } }, handler);
 *     });
 */
export function registerRawJson(scope: FastifyInstance, { verify }: RawJsonOptions): void {
  scope.removeContentTypeParser('application/json');
  scope.addContentTypeParser(
    'application/json',
    { parseAs: 'buffer', bodyLimit: WEBHOOK_BODY_LIMIT },
    async (request: FastifyRequest, bytes: Buffer) => {
      if (!request.routeOptions.config.rawBody) return parseStrictJson(bytes);
      request.rawBody = bytes;
      return undefined;
    },
  );
  scope.addHook('preValidation', async (request) => {
    if (!request.routeOptions.config.rawBody) return;
    const rawBody = request.rawBody ?? Buffer.alloc(0); // a request without a body never reaches the parser
    await verify(Object.assign(request, { rawBody }));
    request.body = parseStrictJson(rawBody);
  });
}

export default fp(strictJson, { name: 'strict-json', fastify: '5.x' });
