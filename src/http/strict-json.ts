/**
 * The way a request body becomes a value: strict UTF-8 JSON under one media type, or no bytes. Nothing may be parsed that is
 * not validated: another parser exists only in the scope of a route that says so in its `config.formBody`.
 */
import { isUtf8 } from 'node:buffer';
import { MIMEType } from 'node:util';
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
const WEBHOOK_BODY_LIMIT = 64 * 1024;

const JSON_TYPE = 'application/json';
const FORM = 'application/x-www-form-urlencoded';
const TYPES = { only: [FORM], 'or-json': [JSON_TYPE, FORM] };
const MAX_TYPE_LENGTH = 256;

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
    JSON_TYPE,
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, bytes: Buffer) =>
      bytes.length === 0 ? undefined : parseStrictJson(bytes),
  );
  // A body of another type that came without a length: no bytes are no body, whatever they are called.
  app.addContentTypeParser(
    NOT_READ,
    { parseAs: 'buffer' },
    async (_request: FastifyRequest, bytes: Buffer) => {
      if (bytes.length > 0) throw new Problem('unsupported_media_type');
    },
  );
  app.addHook('preParsing', (request, _reply, payload, done) => {
    const { headers } = request;
    const length = headers['content-length'];
    const chunked = headers['transfer-encoding'] !== undefined;
    if (!chunked && (length === undefined || /^0+$/.test(length))) {
      delete headers['content-type'];
      return done(null, payload);
    }
    const { formBody } = request.routeOptions.config;
    const type = readableType(headers, formBody ? TYPES[formBody] : [JSON_TYPE]);
    if (type === null && !chunked) return done(new Problem('unsupported_media_type'), payload);
    // Under its bare name, whatever parameters it came with.
    headers['content-type'] = type ?? NOT_READ;
    done(null, payload);
  });
}

const NOT_READ = 'application/octet-stream';

/** The one of `types` that the body is, in UTF-8 and not encoded; null for anything else. Other parameters say nothing. */
function readableType(headers: FastifyRequest['headers'], types: readonly string[]): string | null {
  const text = headers['content-type'] ?? '';
  const encoding = headers['content-encoding'] ?? 'identity';
  if (encoding.toLowerCase() !== 'identity' || text.length > MAX_TYPE_LENGTH) return null;
  // Of two charsets, two programs may each believe another.
  if ((text.match(/charset/gi)?.length ?? 0) > 1) return null;
  try {
    const { essence, params } = new MIMEType(text);
    const utf8 = /^utf-?8$/i.test(params.get('charset') ?? 'utf-8');
    return utf8 && types.includes(essence) ? essence : null;
  } catch {
    return null;
  }
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
