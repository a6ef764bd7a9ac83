/** Problem → bytes (RFC 9457). Pure and total: it must never throw and never show a cause, a stack or a submitted value. */
import { STATUS_CODES } from 'node:http';
import { z } from 'zod';
import type { Problem, ProblemCode } from '../kernel/problems.ts';

const PROBLEM_TYPE = 'application/problem+json; charset=utf-8';

/** What routes are asked for; any other method is 405 wherever it is sent. */
export const METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'] as const;

/**
 * Response schema for 4xx and 5xx. Deliberately loose: handler bodies are serialised without it, so it documents
 * and never refuses.
 */
export const problemSchema = z
  .looseObject({
    type: z.string().describe('Address of the page that describes this problem'),
    title: z.string(),
    status: z.number().describe('The HTTP status code'),
    detail: z.string().optional(),
    instance: z.string().optional().describe('Path of the request'),
    code: z.string().describe('Stable name of the problem, from a closed list'),
    request_id: z.string().optional(),
    errors: z
      .array(
        z.looseObject({
          pointer: z
            .string()
            .describe('RFC 6901 pointer that begins with the request part: /body, /query, …'),
          code: z.string(),
          message: z.string(),
        }),
      )
      .optional()
      .describe('The refused fields; submitted values are never repeated'),
    state: z.string().optional().describe('Current state of the flow that refused the event'),
    next: z.array(z.unknown()).optional().describe('What the flow accepts instead'),
    retry_after: z.number().optional().describe('Seconds to wait; also in the Retry-After header'),
  })
  .meta({ id: 'Problem', description: 'RFC 9457 problem details' });

export type ProblemContext = {
  /** Put before `/problems/<code>`; empty keeps the type relative to the request. */
  baseUrl: string;
  instance?: string;
  requestId?: string;
};

export function problemBody(problem: Problem, { baseUrl, instance, requestId }: ProblemContext): string {
  const { detail, errors, state, next, members } = problem.extras;
  const standard = {
    type: `${baseUrl}/problems/${problem.code}`,
    title: problem.title,
    status: problem.status,
    detail,
    instance,
    code: problem.code,
    request_id: requestId,
    errors,
    state,
    next,
    retry_after: retryAfterOf(problem),
  };
  try {
    return JSON.stringify({ ...members, ...standard });
  } catch {
    return JSON.stringify({ ...standard, next: undefined }); // only `members` and `next` hold foreign values
  }
}

/** RFC 6750 §3 and, for the step-up, RFC 9470 §3. */
const CHALLENGES: Partial<Record<ProblemCode, string>> = {
  invalid_token: 'Bearer error="invalid_token"',
  invalid_flow_token: 'Bearer error="invalid_token"',
  step_up_required: 'Bearer error="insufficient_user_authentication"',
  insufficient_scope: 'Bearer error="insufficient_scope"',
};

/** Header names are lower case; the problem's own headers win. */
export function problemHeaders(problem: Problem): Record<string, string> {
  const headers: Record<string, string> = { 'content-type': PROBLEM_TYPE, 'cache-control': 'no-store' };
  const challenge = CHALLENGES[problem.code] ?? (problem.status === 401 ? 'Bearer' : undefined);
  if (challenge) headers['www-authenticate'] = challenge;
  const retryAfter = retryAfterOf(problem);
  if (retryAfter !== undefined) headers['retry-after'] = String(retryAfter);
  for (const [name, value] of Object.entries(problem.extras.headers ?? {}))
    headers[name.toLowerCase()] = value;
  return headers;
}

/** Whole seconds, at least one: a client that waits 0 s would only be refused again. */
function retryAfterOf(problem: Problem): number | undefined {
  const seconds = problem.extras.retryAfter;
  return seconds === undefined || !Number.isFinite(seconds) ? undefined : Math.max(1, Math.ceil(seconds));
}

/** A whole answer, for a socket that no reply belongs to; the connection ends with it. */
export function rawAnswer(status: number, headers: Record<string, string>, body: string): string {
  const all = { ...headers, 'content-length': String(Buffer.byteLength(body)), connection: 'close' };
  const fields = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`);
  return `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\n${fields.join('')}\r\n${body}`;
}

const NOT_IN_PATH = /[^A-Za-z0-9\-._~!$&'()*+,;=:@%/]/g;

/** The path of a request target: no authority, no query, printable ASCII only, at most 256 characters before encoding. */
export function instanceOf(target: string): string {
  const path = target.replace(/^[a-z][a-z0-9+.-]*:\/\/[^/?#]*/i, '').split(/[?#]/, 1)[0] || '/';
  return path.slice(0, 256).replace(NOT_IN_PATH, (c) => {
    const bytes = Buffer.from(c, c.charCodeAt(0) < 256 ? 'latin1' : 'utf8'); // Node reads request targets as latin1
    return Array.from(bytes, (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`).join('');
  });
}
