/** Public documents that clients fetch again and again: validators (RFC 9110 section 8.8.3) and compression, made once. */
import { hash } from 'node:crypto';
import { brotliCompressSync, constants, gzipSync } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';

type Encoding = 'br' | 'gzip' | 'identity';

/** A document in each encoding a client may ask for; compressed when it is first asked for. */
export function createDocument(text: string) {
  const plain = Buffer.from(text, 'utf8');
  const made = new Map<Encoding, Buffer>([['identity', plain]]);
  const digest = hash('sha256', text, 'base64url').slice(0, 27);
  const make = { br: brotli, gzip: (bytes: Buffer) => gzipSync(bytes), identity: (bytes: Buffer) => bytes };
  return {
    /** The tag names the bytes, so each encoding has its own. */
    etag: (encoding: Encoding): string => `"${digest}${encoding === 'identity' ? '' : `-${encoding}`}"`,
    bytes(encoding: Encoding): Buffer {
      const bytes = made.get(encoding) ?? make[encoding](plain);
      made.set(encoding, bytes);
      return bytes;
    },
  };
}
export type PublicDocument = ReturnType<typeof createDocument>;

const brotli = (bytes: Buffer): Buffer =>
  brotliCompressSync(bytes, { params: { [constants.BROTLI_PARAM_QUALITY]: 9 } });

/** Answers with the document, or 304 when the client has it. `compress`: as the client accepts it. */
export function sendDocument(
  request: FastifyRequest,
  reply: FastifyReply,
  document: PublicDocument,
  { type, compress }: { type: string; compress: boolean },
): FastifyReply {
  const encoding = compress ? preferred(request.headers['accept-encoding'] ?? '') : 'identity';
  const etag = document.etag(encoding);
  reply.header('etag', etag).type(type);
  if (compress) reply.header('vary', withVary(reply, 'accept-encoding'));
  if (matches(request.headers['if-none-match'], etag)) return reply.code(304).send();
  if (encoding !== 'identity') reply.header('content-encoding', encoding);
  return reply.send(document.bytes(encoding));
}

/** Brotli before gzip before none, of what the client does not refuse with q=0. */
function preferred(header: string): Encoding {
  const wanted = header
    .toLowerCase()
    .split(',')
    .map((part) => part.trim())
    .filter((part) => !/;\s*q=0(?:\.0*)?$/.test(part))
    .map((part) => part.split(';')[0]?.trim());
  return wanted.includes('br') ? 'br' : wanted.includes('gzip') ? 'gzip' : 'identity';
}

/** RFC 9110 section 13.1.2: compared weakly; `*` stands for any. */
const matches = (header: string | undefined, etag: string): boolean =>
  header !== undefined &&
  (header.trim() === '*' || header.split(',').some((one) => one.trim().replace(/^W\//, '') === etag));

function withVary(reply: FastifyReply, name: string): string {
  const present = reply.getHeader('vary');
  return present ? `${String(present)}, ${name}` : name;
}
