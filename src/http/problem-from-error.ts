/** Whatever was thrown → Problem. Anything not recognised becomes internal_error; its text must never reach a client. */
import type { FastifyRequest } from 'fastify';
import { Problem, type ProblemCode } from '../kernel/problems.ts';
import { fieldErrors, type Refusal } from './problem-fields.ts';

const FASTIFY_CODES: Record<string, ProblemCode> = {
  FST_ERR_CTP_INVALID_MEDIA_TYPE: 'unsupported_media_type',
  FST_ERR_ROUTE_MISSING_CONTENT_TYPE: 'unsupported_media_type',
  FST_ERR_CTP_BODY_TOO_LARGE: 'payload_too_large',
  FST_ERR_CTP_EMPTY_JSON_BODY: 'malformed_body',
  FST_ERR_CTP_INVALID_JSON_BODY: 'malformed_body',
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: 'malformed_body',
  FST_ERR_NOT_FOUND: 'not_found',
  FST_ERR_MAX_PARAM_LENGTH: 'not_found', // nothing here has so long a name
  FST_ERR_HANDLER_TIMEOUT: 'overloaded',
};

/** For errors of plugins and streams, which carry only a status (rate limits, static files, aborted bodies). */
const STATUS_CODES: Record<number, ProblemCode> = {
  400: 'malformed_body',
  404: 'not_found',
  413: 'payload_too_large',
  415: 'unsupported_media_type',
  429: 'rate_limited',
  431: 'header_too_large',
};

type Thrown = {
  code?: unknown;
  statusCode?: unknown;
  validation?: unknown;
  validationContext?: string;
};

/** Names an error of another layer, for example an outage of the database; null when it does not know it. */
export type Classify = (thrown: unknown) => Problem | null;

/** `retryAfter`: seconds a rate limiter has already put on the reply, if any. */
export function problemFrom(
  thrown: unknown,
  request: FastifyRequest,
  retryAfter?: number,
  classify: Classify = () => null,
): Problem {
  if (thrown instanceof Problem) return thrown;
  const classified = classify(thrown);
  if (classified) return classified;
  const cause = { cause: thrown };
  const error: Thrown = typeof thrown === 'object' && thrown !== null ? thrown : {};

  if (Array.isArray(error.validation)) {
    const part = error.validationContext ?? 'body';
    const value = {
      body: request.body,
      params: request.params,
      querystring: request.query,
      headers: request.headers,
    }[part];
    const errors = fieldErrors(part, value, error.validation as Refusal[]);
    return new Problem('validation_failed', { errors }, cause);
  }
  if (error.code === 'FST_ERR_BAD_URL') {
    const errors = [{ pointer: '/path', code: 'invalid_format', message: 'is not validly encoded' }];
    return new Problem('validation_failed', { errors }, cause);
  }
  const code =
    FASTIFY_CODES[String(error.code)] ?? STATUS_CODES[Number(error.statusCode)] ?? 'internal_error';
  return new Problem(code, code === 'rate_limited' && retryAfter ? { retryAfter } : {}, cause);
}
