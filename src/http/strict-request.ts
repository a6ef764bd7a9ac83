/** Refuses requests that two programs on the way could read as different ones. Register it before anything that answers. */
import type { FastifyInstance } from 'fastify';
import fp from 'fastify-plugin';
import { Problem } from '../kernel/problems.ts';

async function strictRequest(app: FastifyInstance) {
  app.addHook('onRequest', (request, _reply, done) => {
    const { url, rawHeaders } = request.raw;
    // RFC 9112 section 3.2: more than one Host is a 400; Node keeps the first and says nothing.
    const hosts = rawHeaders?.filter((text, i) => i % 2 === 0 && text.toLowerCase() === 'host').length ?? 0;
    if (hosts > 1) return done(refused('The request has more than one Host header.'));
    if (url === '*') return done(refused('The request target * names nothing here.'));
    done();
  });
}

const refused = (detail: string) => new Problem('malformed_body', { detail });

export default fp(strictRequest, { name: 'strict-request', fastify: '5.x' });
