/**
 * The closed list of errors this service can answer with: status, title, and the text behind the `type` address, which
 * says what to do and never how a check works inside. Nothing outside it may reach a client.
 */

/** Why a problem happens, and what its reader can do. */
export type Help = { cause: string; fix: string };

const of = (cause: string, fix: string): Help => ({ cause, fix });

const CATALOGUE = {
  validation_failed: [
    400,
    'The request does not match its schema',
    of(
      'One or more fields were refused. `errors` points at each.',
      'Correct these fields and send the request again.',
    ),
  ],
  malformed_body: [
    400,
    'The request body could not be read',
    of(
      'The body is not strict UTF-8 JSON, repeats a key, nests too deeply, or was cut short; or the request is not valid HTTP/1.1.',
      'Send one JSON value, in a well-formed request.',
    ),
  ],
  invalid_code: [
    400,
    'The code is wrong or no longer valid',
    of('The code is wrong, expired, used, or was replaced by a newer one.', 'Ask for a new code.'),
  ],
  invalid_session_token: [
    400,
    'The session token is not valid',
    of(
      'The second factor of this login cannot be answered any more: the token is unknown, used or expired.',
      'Log in again.',
    ),
  ],
  unauthenticated: [
    401,
    'Authentication is required',
    of('The route needs a credential and none was sent.', 'Send `Authorization: Bearer <token>`.'),
  ],
  invalid_token: [
    401,
    'The token is not valid',
    of(
      'The token is malformed, expired, revoked or meant for another audience.',
      'Refresh it or log in again.',
    ),
  ],
  invalid_flow_token: [
    401,
    'The flow token is not valid',
    of(
      'The flow token is missing, expired or belongs to another flow.',
      'Prove the identifier again to resume.',
    ),
  ],
  invalid_credentials: [
    401,
    'The credentials are not valid',
    of(
      'The credentials do not match. The answer is the same for known and unknown accounts.',
      'Check the identifier and the password, or set a new password by recovery.',
    ),
  ],
  invalid_signature: [
    401,
    'The signature is not valid',
    of('The signature, its timestamp or its key is wrong.', 'Sign the exact bytes that are sent.'),
  ],
  step_up_required: [
    401,
    'A more recent or stronger proof of identity is required',
    of(
      'The action asks for a proof within the last `max_age` seconds at the level `acr_values`.',
      'Give it at `POST /v1/auth/step-up`, then repeat the request with the token of its answer.',
    ),
  ],
  access_denied: [
    403,
    'Access denied',
    of(
      'The caller is known but may not do this.',
      'Use an account that may, or ask the operator of this service.',
    ),
  ],
  account_blocked: [
    403,
    'This account is blocked',
    of('The account has been blocked.', 'Only the operator of this service can change that.'),
  ],
  risk_refused: [
    403,
    'The risk check refused this sign-up',
    of(
      'The risk check of this service refused to open the account. Repeating the sign-up gives the same answer.',
      'The person may ask the operator of this service to look at it again, quoting `flow_id`.',
    ),
  ],
  email_not_verified: [
    403,
    'The e-mail address has not been verified',
    of(
      'The e-mail address has not been verified yet.',
      'Verify it first; the verification message can be requested again.',
    ),
  ],
  insufficient_scope: [
    403,
    'The token does not carry the required scope',
    of('The token is valid but lacks a scope the route demands.', 'Obtain a token that carries it.'),
  ],
  foreign_origin: [
    403,
    'The request comes from a foreign origin',
    of(
      'A browser sent this from an origin that is not on the list of allowed origins.',
      'Send it from an allowed origin, or add the origin to `CORS_ALLOWED_ORIGINS`.',
    ),
  ],
  not_found: [
    404,
    'Not found',
    of('There is nothing here, or it is not yours.', 'Check the path and the id.'),
  ],
  method_not_allowed: [
    405,
    'Method not allowed',
    of('The path exists, but not for this method.', 'Use one of the methods that `Allow` lists.'),
  ],
  event_refused: [
    409,
    'This is not possible in the current state',
    of('The flow is in `state` and does not accept this step now.', 'Go on with one of the steps in `next`.'),
  ],
  already_verified: [
    409,
    'The code has been accepted before',
    of(
      'The code was right before, and the answer to it was given or lost. The flow is in `state`.',
      'Go on with `next`.',
    ),
  ],
  conflict: [
    409,
    'The request conflicts with the current state',
    of('The request contradicts what is stored.', 'Read the resource again before deciding.'),
  ],
  flow_needs_restart: [
    409,
    'This flow cannot be continued; start again',
    of('The flow was abandoned, expired or cannot be read any more.', 'Start a new flow.'),
  ],
  idempotency_in_progress: [
    409,
    'A request with this idempotency key is still running',
    of(
      'The first request with this Idempotency-Key has not finished.',
      'Repeat it after `retry_after` seconds.',
    ),
  ],
  idempotency_answer_lost: [
    409,
    'The request took effect, but its answer is lost',
    of(
      'The first request with this Idempotency-Key was carried out, but its answer can no longer be given.',
      'Read the current state; do not send it again under another key.',
    ),
  ],
  payload_too_large: [
    413,
    'The request body is too large',
    of('The body exceeds the limit: 16 KiB, or 64 KiB for webhooks.', 'Send a smaller body.'),
  ],
  unsupported_media_type: [
    415,
    'The content type is not supported',
    of(
      'The body has another content type or encoding than is read here.',
      'Send `application/json` in UTF-8, without content encoding; introspection takes a form as well.',
    ),
  ],
  factor_required: [
    403,
    'A second factor has to be set up first',
    of(
      'This is shown only right after a second factor, and the account has none.',
      'Set up a second factor.',
    ),
  ],
  credentials_unreadable: [
    409,
    'The stored credentials cannot be opened',
    of(
      'What is stored was altered, moved, or belongs to a key that is gone; nothing of it is shown. An alarm was raised.',
      'Send the credentials anew.',
    ),
  ],
  broker_rejected: [
    422,
    'The broker does not accept these credentials',
    of(
      'The broker refuses the key, the secret or the token, or they belong to another user of the broker. Nothing was stored or replaced.',
      'Check the credentials at the broker and send them again.',
    ),
  ],
  weak_password: [
    422,
    'The password is not acceptable',
    of('The password does not meet the policy. `errors` lists the reasons.', 'Choose another password.'),
  ],
  weak_pin: [422, 'The PIN is not acceptable', of('The PIN is too easy to guess.', 'Choose another PIN.')],
  idempotency_mismatch: [
    422,
    'The idempotency key was used with another request',
    of('The Idempotency-Key was used before with a different request.', 'Use a new key.'),
  ],
  misdirected_request: [
    421,
    'This host name is not served here',
    of(
      'The host name of the request is not one this service answers for.',
      'Use the name in `PUBLIC_URL`, or add the name to `CONSOLE_HOSTS`.',
    ),
  ],
  rate_limited: [429, 'Too many requests', of('A limit was reached.', 'Wait `retry_after` seconds.')],
  header_too_large: [
    431,
    'The request headers are too large',
    of('The request line and headers exceed 16 KiB.', 'Send fewer or shorter headers.'),
  ],
  not_implemented: [
    501,
    'The method is not known',
    of('This service knows no such method.', 'Use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.'),
  ],
  internal_error: [
    500,
    'Something went wrong on our side',
    of(
      'Something failed on our side. Nothing was changed unless a repeat says so.',
      'Repeat the request later; quote `request_id` when you report it.',
    ),
  ],
  overloaded: [
    503,
    'The service is busy; try again shortly',
    of('The service is shedding load.', 'Repeat after `retry_after` seconds.'),
  ],
  dependency_unavailable: [
    503,
    'A dependency is not available; try again shortly',
    of('A store this request needs is not reachable.', 'Repeat after `retry_after` seconds.'),
  ],
} as const satisfies Record<string, readonly [status: number, title: string, help: Help]>;

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

/** Thrown anywhere below a route; rendered by `http/problems.ts` as RFC 9457. `cause` goes to the log only. */
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
    ...(help as Help),
  }));
