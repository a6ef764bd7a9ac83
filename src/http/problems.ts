/**
 * Every error answer leaves through here: one renderer for thrown values, unknown paths and wrong methods, and a
 * page per problem code. Register it first; nothing may answer an error by itself.
 */
import type { Socket } from 'node:net';
import type { FastifyInstance, FastifyReply, FastifyRequest, HTTPMethods } from 'fastify';
import fp from 'fastify-plugin';
import { Problem } from '../kernel/problems.ts';
import { noteProblem } from './log.ts';
import { type Classify, problemFrom } from './problem-from-error.ts';
import { instanceOf, METHODS, problemBody, problemHeaders, rawAnswer } from './problem-json.ts';
import { problemPages } from './problem-pages.ts';
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
  // Before the body is looked at: no content type makes a path or a method known.
  app.addHook('preParsing', (request, reply, payload, done) => {
    if (request.method === 'OPTIONS') answerOptions(app, request, reply, baseUrl);
    else done(request.is404 ? unknownRoute(app, request) : null, payload);
  });
  refuseTunnels(app, baseUrl);
  problemPages(app, baseUrl);
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

/** What the path takes; nothing for a path that is not there. Each known path answers OPTIONS. */
function methodsOf(app: FastifyInstance, url: string): HTTPMethods[] {
  const known = METHODS.filter(
    // The CORS plugin answers OPTIONS for every path: that makes none known.
    (method) => method !== 'OPTIONS' && app.findRoute({ method, url }) !== null,
  );
  return known.length > 0 ? [...known, 'OPTIONS'] : [];
}

function unknownRoute(app: FastifyInstance, request: FastifyRequest): Problem {
  const known = methodsOf(app, request.url);
  if (known.length > 0) return notAllowed(known);
  return new Problem(METHODS.some((method) => method === request.method) ? 'not_found' : 'not_implemented');
}

/** RFC 9110 section 9.3.7; a preflight has been answered before. */
function answerOptions(
  app: FastifyInstance,
  request: FastifyRequest,
  reply: FastifyReply,
  baseUrl: string,
): void {
  const known = methodsOf(app, request.url);
  if (known.length === 0) send(request, reply, new Problem('not_found'), baseUrl);
  else reply.code(204).header('allow', known.join(', ')).send();
}

/** RFC 9110 §15.5.6: a 405 names what is allowed. */
const notAllowed = (methods: readonly string[]) =>
  new Problem('method_not_allowed', { headers: { allow: methods.join(', ') } });

/** CONNECT never becomes a request in Node: without a listener the socket would just close. */
function refuseTunnels(app: FastifyInstance, baseUrl: string): void {
  app.server.on('connect', (_request, socket: Socket) => {
    const problem = new Problem('not_implemented');
    socket.on('error', () => socket.destroy());
    socket.end(rawAnswer(problem.status, problemHeaders(problem), problemBody(problem, { baseUrl })));
  });
}

export default fp(problems, { name: 'problems', fastify: '5.x' });
