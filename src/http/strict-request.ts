/** Refuses requests that two programs on the way could read as different ones. Register it before anything that answers. */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { Problem } from '../kernel/problems.ts';
import { repeats } from './request-context.ts';

async function strictRequest(app: FastifyInstance) {
  app.addHook('onRequest', (request, _reply, done) => {
    // RFC 9112 section 3.2: more than one Host is a 400; Node keeps the first and says nothing.
    if (repeats(request.raw, 'host')) return done(refused('The request has more than one Host header.'));
    if (request.raw.url === '*') return done(refused('The request target * names nothing here.'));
    done();
  });
}

const refused = (detail: string) => new Problem('malformed_body', { detail });

export default fp(strictRequest, { name: 'strict-request', fastify: '5.x' });
