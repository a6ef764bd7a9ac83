/**
 * The closed list of errors this service can answer with: status, title, and the text behind the `type` address, which
 * says what to do and never how a check works inside. Nothing outside it may reach a client.
 */

const CATALOGUE = {
  validation_failed: [
    400,
    'The request does not match its schema',
    'One or more fields were refused. `errors` points at each; correct them and send the request again.',
  ],
  malformed_body: [
    400,
    'The request body could not be read',
    'The body is empty, is not strict UTF-8 JSON, repeats a key, nests too deeply, or was cut short. Send one JSON value.',
  ],
  invalid_code: [
    400,
    'The code is wrong or no longer valid',
    'The code is wrong, expired, used, or was replaced by a newer one. Ask for a new code.',
  ],
  unauthenticated: [
    401,
    'Authentication is required',
    'The route needs a credential and none was sent. Send `Authorization: Bearer <token>`.',
  ],
  invalid_token: [
    401,
    'The token is not valid',
    'The token is malformed, expired, revoked or meant for another audience. Refresh it or log in again.',
  ],
  invalid_flow_token: [
    401,
    'The flow token is not valid',
    'The flow token is missing, expired or belongs to another flow. Prove the identifier again to resume.',
  ],
  invalid_credentials: [
    401,
    'The credentials are not valid',
    'The credentials do not match. The answer is the same for known and unknown accounts.',
  ],
  invalid_signature: [
    401,
    'The signature is not valid',
    'The signature, its timestamp or its key is wrong. Sign the exact bytes that are sent.',
  ],
  step_up_required: [
    401,
    'A fresh second factor is required',
    'The action needs a second factor proven recently. Complete one and repeat the request.',
  ],
  access_denied: [403, 'Access denied', 'The caller is known but may not do this.'],
  account_blocked: [
    403,
    'This account is blocked',
    'The account has been blocked. Only an operator can change that.',
  ],
  email_not_verified: [
    403,
    'The e-mail address has not been verified',
    'Verify the e-mail address first; the verification message can be requested again.',
  ],
  insufficient_scope: [
    403,
    'The token does not carry the required scope',
    'The token is valid but lacks a scope the route demands. Obtain a token that carries it.',
  ],
  foreign_origin: [
    403,
    'The request comes from a foreign origin',
    'A browser sent this from an origin that is not on the list of allowed origins.',
  ],
  not_found: [404, 'Not found', 'There is nothing here, or it is not yours.'],
  method_not_allowed: [
    405,
    'Method not allowed',
    'The path exists, but not for this method. `Allow` lists the methods it takes.',
  ],
  event_refused: [
    409,
    'This is not possible in the current state',
    'The flow is in `state` and does not accept this step now. `next` lists what it accepts.',
  ],
  already_verified: [
    409,
    'The code has been accepted before',
    'The code was right before, and the answer to it was given or lost. The flow is in `state`; go on with `next`.',
  ],
  conflict: [
    409,
    'The request conflicts with the current state',
    'The request contradicts what is stored. Read the resource again before deciding.',
  ],
  flow_needs_restart: [
    409,
    'This flow cannot be continued; start again',
    'The flow was abandoned, expired or cannot be read any more. Start a new one.',
  ],
  idempotency_in_progress: [
    409,
    'A request with this idempotency key is still running',
    'The first request with this Idempotency-Key has not finished. Repeat it after `retry_after`.',
  ],
  idempotency_answer_lost: [
    409,
    'The request took effect, but its answer is lost',
    'The first request with this Idempotency-Key was carried out, but its answer can no longer be given. Read the current state; do not send it again under another key.',
  ],
  payload_too_large: [
    413,
    'The request body is too large',
    'The body exceeds the limit: 16 KiB, or 64 KiB for webhooks.',
  ],
  unsupported_media_type: [
    415,
    'The content type is not supported',
    'Only `application/json` in UTF-8, without content encoding, is read; introspection takes a form as well.',
  ],
  weak_password: [
    422,
    'The password is not acceptable',
    'The password does not meet the policy. `errors` lists the reasons; choose another.',
  ],
  weak_pin: [422, 'The PIN is not acceptable', 'The PIN is too easy to guess. Choose another.'],
  idempotency_mismatch: [
    422,
    'The idempotency key was used with another request',
    'The Idempotency-Key was used before with a different request. Use a new key.',
  ],
  misdirected_request: [
    421,
    'This host name is not served here',
    'The host name of the request is not one this service answers for.',
  ],
  rate_limited: [429, 'Too many requests', 'A limit was reached. Wait `retry_after` seconds.'],
  header_too_large: [431, 'The request headers are too large', 'The request line and headers exceed 16 KiB.'],
  internal_error: [
    500,
    'Something went wrong on our side',
    'Something failed on our side. Nothing was changed unless a repeat says so; quote `request_id`.',
  ],
  overloaded: [
    503,
    'The service is busy; try again shortly',
    'The service is shedding load. Repeat after `retry_after` seconds.',
  ],
  dependency_unavailable: [
    503,
    'A dependency is not available; try again shortly',
    'A store this request needs is not reachable. Repeat after `retry_after` seconds.',
  ],
} as const satisfies Record<string, readonly [status: number, title: string, help: string]>;

export type ProblemCode = keyof typeof CATALOGUE;

/** One refused field: an RFC 6901 pointer into the request part it came from. Never echoes the value. */
export type FieldError = { pointer: string; code: string; message: string };

export type ProblemExtras = {
  detail?: string;
  errors?: FieldError[];
  /** Current state of the flow that refused the event. */
  state?: string;
  /** What the flow would accept instead. */
  next?: unknown[];
  /** Seconds; becomes the Retry-After header. */
  retryAfter?: number;
  headers?: Record<string, string>;
  /** Members a documented contract adds to its error bodies, for example `valid: false`. */
  members?: Record<string, unknown>;
};

/** Thrown anywhere below a route; rendered by `plugins/problems.ts` as RFC 9457. `cause` goes to the log only. */
export class Problem extends Error {
  readonly code: ProblemCode;
  readonly status: number;
  readonly title: string;
  readonly extras: ProblemExtras;

  constructor(code: ProblemCode, extras: ProblemExtras = {}, options?: ErrorOptions) {
    super(extras.detail ?? CATALOGUE[code][1], options);
    this.name = 'Problem';
    this.code = code;
    this.status = CATALOGUE[code][0];
    this.title = CATALOGUE[code][1];
    this.extras = extras;
  }
}

export const problemCatalogue = () =>
  Object.entries(CATALOGUE).map(([code, [status, title, help]]) => ({
    code: code as ProblemCode,
    status: status as number,
    title: title as string,
    help: help as string,
  }));
