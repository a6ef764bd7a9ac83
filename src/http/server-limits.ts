/** What one connection may cost. Node's and Fastify's defaults wait for ever; none of these may be left to them. */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';
import type { FastifyHttpOptions } from 'fastify';
import { Problem } from '../kernel/problems.ts';
import { problemBody, problemHeaders, rawAnswer } from './problem-json.ts';
import { type SecurityHeadersOptions, securityHeaders } from './security-headers.ts';

export type ServerLimitsOptions = SecurityHeadersOptions & {
  /** Addresses or networks whose X-Forwarded-* are believed; empty: of none. */
  trustProxy: readonly string[];
  /** As for the problems plugin. */
  baseUrl?: string;
};

/** Times in milliseconds, sizes in bytes. */
export const LIMITS = {
  requestTimeout: 15_000,
  headersTimeout: 10_000,
  connectionsCheckingInterval: 5_000,
  /** Longer than the 60 s after which common load balancers drop an idle connection, so that they close first. */
  keepAliveTimeout: 65_000,
  maxRequestsPerSocket: 1_000,
  bodyLimit: 16 * 1024,
  maxHeaderSize: 16 * 1024,
  maxParamLength: 100,
} as const;

/** The whole option object for `Fastify()`, but for the logger. Needs the problems plugin for its answers. */
export function serverLimits({ trustProxy, baseUrl = '', ...flags }: ServerLimitsOptions) {
  const headers = securityHeaders(flags);
  return {
    requestTimeout: LIMITS.requestTimeout,
    keepAliveTimeout: LIMITS.keepAliveTimeout,
    maxRequestsPerSocket: LIMITS.maxRequestsPerSocket,
    bodyLimit: LIMITS.bodyLimit,
    trustProxy: trustProxy.length > 0 ? [...trustProxy] : false,
    /** Idle connections are closed at once, requests under way are finished and answered, not cut off with a 503. */
    forceCloseConnections: 'idle',
    return503OnClosing: false,
    requestIdHeader: false,
    routerOptions: { maxParamLength: LIMITS.maxParamLength, caseSensitive: true },
    http: {
      headersTimeout: LIMITS.headersTimeout,
      requestTimeout: LIMITS.requestTimeout,
      connectionsCheckingInterval: LIMITS.connectionsCheckingInterval,
      maxHeaderSize: LIMITS.maxHeaderSize,
      insecureHTTPParser: false,
    },
    /** A bad URL is refused before any hook runs, so the headers are set here. */
    frameworkErrors: (error, request, reply) => {
      reply.headers(headers);
      request.server.errorHandler(error, request, reply);
    },
    clientErrorHandler: (error, socket) =>
      refuseConnection(error as unknown as Broken, socket, headers, baseUrl),
  } satisfies FastifyHttpOptions<Server>;
}

/** Node's own type; Fastify's declares rawPacket as something else. */
type Broken = { code?: string | undefined; rawPacket?: Buffer | undefined };

/** Bytes that are not HTTP: answered once if nothing has been answered yet, and the connection ends. */
function refuseConnection(
  error: Broken,
  socket: Socket & { _httpMessage?: { headersSent: boolean } },
  headers: Record<string, string>,
  baseUrl: string,
): void {
  const answered = socket._httpMessage?.headersSent ?? false;
  if (error.code === 'ECONNRESET' || !socket.writable || answered) {
    socket.destroy();
    return;
  }
  // The catalogue has no code for a client that stopped sending: the status line says it all.
  const problem = error.code === 'ERR_HTTP_REQUEST_TIMEOUT' ? null : problemOf(error);
  const status = problem?.status ?? 408;
  const body = problem ? problemBody(problem, { baseUrl }) : '';
  socket.write(rawAnswer(status, { ...headers, ...(problem && problemHeaders(problem)) }, body));
  socket.destroySoon();
}

function problemOf({ code, rawPacket }: Broken): Problem {
  if (code === 'HPE_HEADER_OVERFLOW') return new Problem('header_too_large');
  if (code === 'HPE_CHUNK_EXTENSIONS_OVERFLOW') return new Problem('payload_too_large');
  // A word and a space is a method we do not know; anything else under that code is not HTTP at all.
  const method = /^[A-Z]{3,20} /.test(rawPacket?.subarray(0, 21).toString('latin1') ?? '');
  if (code === 'HPE_INVALID_METHOD' && method) {
    return new Problem('not_implemented');
  }
  return new Problem('malformed_body', { detail: 'This is not a valid HTTP/1.1 request.' });
}
