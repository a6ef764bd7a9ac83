/**
 * Every error answer leaves through here: one renderer for thrown values, unknown paths and wrong methods, and a
 * page per problem code. Register it first; nothing may answer an error by itself.
 */
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import fp from 'fastify-plugin';
import { serializerCompiler, validatorCompiler, type ZodTypeProvider } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { Problem, type ProblemCode, problemCatalogue } from '../kernel/problems.ts';
import { noteProblem } from './log.ts';
import { type Classify, problemFrom } from './problem-from-error.ts';
import { instanceOf, METHODS, problemBody, problemHeaders, problemSchema } from './problem-json.ts';
import { requestId } from './request-id.ts';

export { problemSchema } from './problem-json.ts';

export type ProblemsOptions = {
  /** Put before `/problems/<code>` in `type`; empty (the default) makes it relative to the request. No trailing slash. */
  baseUrl?: string;
  /** Asked first about errors that are no problems yet. */
  classify?: Classify;
};

async function problems(app: FastifyInstance, { baseUrl = '', classify }: ProblemsOptions) {
  app.setGenReqId(requestId);
  app.addHook('onRequest', (request, reply, done) => {
    reply.header('x-request-id', request.id);
    done();
  });

  app.setErrorHandler((thrown, request, reply) => {
    const problem = problemFrom(thrown, request, Number(reply.getHeader('retry-after')), classify);
    log(request, problem);
    return send(request, reply, problem, baseUrl);
  });
  app.setNotFoundHandler((request, reply) => send(request, reply, unknownRoute(app, request), baseUrl));
  refuseTunnels(app, baseUrl);
  describeProblems(app, baseUrl);
}

/** Already serialised, so that a route's own response schema can never turn a 4xx into a 500. */
function send(request: FastifyRequest, reply: FastifyReply, problem: Problem, baseUrl: string): FastifyReply {
  noteProblem(request, problem.code);
  const instance = instanceOf(request.url);
  reply.removeHeader('etag').removeHeader('last-modified').removeHeader('content-encoding');
  return reply
    .code(problem.status)
    .headers({ 'x-request-id': request.id, ...problemHeaders(problem) })
    .send(problemBody(problem, { baseUrl, instance, requestId: request.id }));
}

function log(request: FastifyRequest, problem: Problem): void {
  if (problem.status >= 500)
    request.log.error({ err: problem.cause ?? problem, problem: problem.code }, problem.title);
}

function unknownRoute(app: FastifyInstance, request: FastifyRequest): Problem {
  const has = (method: HTTPMethods) => app.findRoute({ method, url: request.url }) !== null;
  const known = METHODS.filter(has);
  // OPTIONS alone proves nothing: the CORS plugin answers it for every path.
  if (known.some((method) => method !== 'OPTIONS')) return notAllowed(known);
  return METHODS.some((method) => method === request.method) ? new Problem('not_found') : notAllowed(METHODS);
}

/** RFC 9110 §15.5.6: a 405 names what is allowed. */
const notAllowed = (methods: readonly string[]) =>
  new Problem('method_not_allowed', { headers: { allow: methods.join(', ') } });

/** CONNECT never becomes a request in Node: without a listener the socket would just close. */
function refuseTunnels(app: FastifyInstance, baseUrl: string): void {
  app.server.on('connect', (_request, socket: Socket) => {
    const problem = notAllowed(METHODS);
    const body = problemBody(problem, { baseUrl });
    const headers = {
      ...problemHeaders(problem),
      'content-length': Buffer.byteLength(body),
      connection: 'close',
    };
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    socket.on('error', () => socket.destroy());
    socket.end(`HTTP/1.1 405 Method Not Allowed\r\n${lines.join('')}\r\n${body}`);
  });
}

const descriptionSchema = z
  .object({
    type: z.string(),
    code: z.string(),
    status: z.number(),
    title: z.string(),
    description: z.string().describe('When it happens and what a client should do'),
  })
  .meta({ id: 'ProblemDescription' });

function describeProblems(app: FastifyInstance, baseUrl: string): void {
  const pages = new Map(
    problemCatalogue().map(({ code, status, title, help }) => {
      const type = `${baseUrl}/problems/${code}`;
      return [code, { type, code, status, title, description: help }] as const;
    }),
  );
  app.register(async (scope) => {
    scope.setValidatorCompiler(validatorCompiler).setSerializerCompiler(serializerCompiler);
    const schema = {
      summary: 'What a problem code means',
      tags: ['Problems'],
      security: [],
      params: z.object({ code: z.string() }),
      response: { 200: descriptionSchema, 404: problemSchema },
    };
    scope.withTypeProvider<ZodTypeProvider>().get('/problems/:code', { schema }, async (request, reply) => {
      const page = pages.get(request.params.code as ProblemCode);
      if (!page) throw new Problem('not_found');
      reply.header('cache-control', 'public, max-age=300');
      return page;
    });
  });
}

export default fp(problems, { name: 'problems', fastify: '5.x' });
