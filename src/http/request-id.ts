/** One id per request, echoed as X-Request-Id. A caller's id is taken only if it cannot break a log line or a header. */
import type { IncomingMessage } from 'node:http';
import { uuidv7 } from '../kernel/crypto/uuid7.ts';

const ACCEPTED = /^[A-Za-z0-9._-]{8,64}$/;

export function requestId(request: Pick<IncomingMessage, 'headers'>): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && ACCEPTED.test(given) ? given : uuidv7();
}
