/**
 * Idempotency-Key on every POST (draft-ietf-httpapi-idempotency-key-header): the same request has its effect once and is
 * answered alike for a day. Answers rest sealed, since they may hold tokens. It must never hold up a request without
 * the header.
 */
import { randomUUID } from 'node:crypto';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import fp from 'fastify-plugin';
import type { IdempotencyStore } from '../../db/idempotency.ts';
import { answerLost, isReplay, type KeyedRun } from '../engine/keyed-run.ts';
import type { Clock } from '../kernel/clock.ts';
import { hmacSha256 } from '../kernel/crypto/hmac.ts';
import type { KmsPort } from '../kernel/kms.ts';
import { Problem } from '../kernel/problems.ts';
import { noteProblem } from './log.ts';
import { instanceOf, problemBody, problemHeaders } from './problem-json.ts';
import type { Identify } from './request-identity.ts';

export type IdempotencyOptions = {
  store: IdempotencyStore;
  identify: Identify;
  kms: KmsPort;
  /** For keys and fingerprints, which must not reveal what was sent. */
  key: Buffer;
  clock: Clock;
  /** How long an answer is kept. */
  ttlMs: number;
};

declare module 'fastify' {
  interface FastifyContextConfig {
    /** The answer holds what must not be kept, not even sealed: a key changes nothing here. */
    answerNotKept?: boolean;
  }
  interface FastifyRequest {
    /** Set while this request holds the reservation of its key. */
    idempotency: KeyedRun | null;
  }
}

const KEY = /^[\x21-\x7e]{8,128}$/;
/** Told again with a replayed answer; everything else is about the moment. */
const KEPT_HEADERS = ['content-type', 'set-cookie'] as const;

type Kept = { headers: Record<string, string | string[]>; body: string };

async function idempotency(
  app: FastifyInstance,
  { store, identify, kms, key, clock, ttlMs }: IdempotencyOptions,
) {
  const digest = (value: unknown): string => hmacSha256(key, JSON.stringify(value)).toString('hex');
  const context = (id: string): string => `idempotency|${id}`;
  app.decorateRequest('idempotency', null);

  app.addHook('preHandler', (request, reply, done) => {
    const given = request.headers['idempotency-key'];
    const { rawBody, answerNotKept } = request.routeOptions.config;
    if (given === undefined || request.method !== 'POST' || rawBody || answerNotKept) {
      done();
      return;
    }
    // A reply that has been sent ends the request here; `done` must not be called then.
    reserve(given, request, reply).then((replayed) => {
      if (!replayed) done();
    }, done);
  });

  /** True when a kept answer was sent. */
  async function reserve(
    given: string | string[],
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<boolean> {
    if (typeof given !== 'string' || !KEY.test(given)) {
      const message = 'must be 8 to 128 printable characters';
      throw new Problem('validation_failed', {
        errors: [{ pointer: '/headers/idempotency-key', code: 'invalid_format', message }],
      });
    }
    const route = request.routeOptions.url;
    const reservation = { key: digest([route, await identify(request), given]), run: randomUUID() };
    // With its parameters: what a request is about may stand in its address alone.
    const fingerprint = digest([request.url, request.body ?? null]);
    const known = await store.reserve(reservation, fingerprint, new Date(clock.now()), ttlMs);
    if ('committed' in known) {
      request.idempotency = { ...reservation, committed: known.committed, settled: false };
      return false;
    }
    if (known.fingerprint !== fingerprint) throw new Problem('idempotency_mismatch');
    if (known.status === null || known.answer === null)
      throw new Problem('idempotency_in_progress', { retryAfter: 1 });
    const kept = JSON.parse(await kms.decrypt(known.answer, context(reservation.key))) as Kept;
    reply.code(known.status).headers(kept.headers).header('idempotent-replayed', 'true');
    // Already serialised: the route's own serialiser would quote it.
    reply.serializer((body: unknown) => String(body));
    reply.send(kept.body);
    return true;
  }

  app.addHook('onSend', (request, reply, payload, done) => {
    const run = request.idempotency;
    // Requests of scopes older than this plugin, and of broken URLs, lack the member altogether.
    if (!run) {
      done(null, payload);
      return;
    }
    request.idempotency = null;
    const told = isReplay({ idempotency: run }) ? toldAgain(run, request, reply, payload) : payload;
    keep(run, request, reply, told).then(() => done(null, told), done);
  });

  async function keep(run: KeyedRun, request: FastifyRequest, reply: FastifyReply, payload: unknown) {
    const { statusCode } = reply;
    try {
      // What was never decided is not remembered: overload, limits, outages, unknown callers.
      const undecided = statusCode >= 500 || statusCode === 429 || (statusCode === 401 && !run.settled);
      if (statusCode === 429 && run.settled) await store.forget(run);
      else if (undecided || isUnfounded(run, reply)) await store.release(run);
      else {
        const headers = Object.fromEntries(
          KEPT_HEADERS.flatMap((name) => {
            const value = reply.getHeader(name);
            return value === undefined ? [] : [[name, value as string | string[]]];
          }),
        );
        const kept: Kept = { headers, body: typeof payload === 'string' ? payload : '' };
        await store.complete(run, statusCode, await kms.encrypt(JSON.stringify(kept), context(run.key)));
      }
    } catch (error) {
      // The work is done and its answer known: better sent than lost.
      request.log.error({ err: error }, 'an answer was not kept for its idempotency key');
    }
  }
}

/** A refusal that does not rest on what was committed: the world has moved on, and it would deny the effect. */
const isUnfounded = (run: KeyedRun, { statusCode }: FastifyReply): boolean =>
  run.committed !== null && !run.settled && statusCode >= 400;

/** The answer to a repetition of a request that has had its effect: never a refusal, unless that was the effect. */
function toldAgain(run: KeyedRun, request: FastifyRequest, reply: FastifyReply, payload: unknown): unknown {
  if (!isUnfounded(run, reply) || reply.statusCode >= 500 || reply.statusCode === 429) return payload;
  const problem = answerLost();
  noteProblem(request, problem.code);
  reply.removeHeader('www-authenticate').code(problem.status).headers(problemHeaders(problem));
  const body = { baseUrl: '', instance: instanceOf(request.url), requestId: request.id };
  return problemBody(problem, body);
}

export default fp(idempotency, { name: 'idempotency', fastify: '5.x' });
