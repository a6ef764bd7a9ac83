/** One cookie of a request. A name that is sent twice is refused: two programs might each believe another one. */
import type { FastifyRequest } from 'fastify';
import { Problem } from '../kernel/problems.ts';

/** The value, or undefined without such a cookie. @throws Problem validation_failed when it was sent more than once */
export function onlyCookie(request: FastifyRequest, name: string): string | undefined {
  // Node joins several Cookie headers into one.
  const names = (request.headers.cookie ?? '').split(';').map((pair) => pair.split('=', 1)[0]?.trim());
  if (names.filter((one) => one === name).length > 1) {
    throw new Problem('validation_failed', {
      detail: `The cookie ${name} was sent more than once; send it once.`,
    });
  }
  return request.cookies[name];
}
