/** The closed list of errors this service can answer with; nothing outside it may reach a client. */

const CATALOGUE = {
  validation_failed: [400, 'The request does not match its schema'],
  malformed_body: [400, 'The request body could not be read'],
  invalid_code: [400, 'The code is wrong or no longer valid'],
  invalid_session_token: [400, 'The session token is not valid'],
  unauthenticated: [401, 'Authentication is required'],
  invalid_token: [401, 'The token is not valid'],
  invalid_flow_token: [401, 'The flow token is not valid'],
  invalid_credentials: [401, 'The credentials are not valid'],
  invalid_signature: [401, 'The signature is not valid'],
  step_up_required: [401, 'A more recent or stronger proof of identity is required'],
  access_denied: [403, 'Access denied'],
  account_blocked: [403, 'This account is blocked'],
  factor_required: [403, 'A second factor has to be set up first'],
  email_not_verified: [403, 'The e-mail address has not been verified'],
  insufficient_scope: [403, 'The token does not carry the required scope'],
  foreign_origin: [403, 'The request comes from a foreign origin'],
  not_found: [404, 'Not found'],
  method_not_allowed: [405, 'Method not allowed'],
  event_refused: [409, 'This is not possible in the current state'],
  already_verified: [409, 'The code has been accepted before'],
  conflict: [409, 'The request conflicts with the current state'],
  credentials_unreadable: [409, 'The stored credentials cannot be opened'],
  flow_needs_restart: [409, 'This flow cannot be continued; start again'],
  idempotency_in_progress: [409, 'A request with this idempotency key is still running'],
  idempotency_answer_lost: [409, 'The request took effect, but its answer is lost'],
  payload_too_large: [413, 'The request body is too large'],
  unsupported_media_type: [415, 'The content type is not supported'],
  broker_rejected: [422, 'The broker does not accept these credentials'],
  weak_password: [422, 'The password is not acceptable'],
  weak_pin: [422, 'The PIN is not acceptable'],
  idempotency_mismatch: [422, 'The idempotency key was used with another request'],
  misdirected_request: [421, 'This host name is not served here'],
  rate_limited: [429, 'Too many requests'],
  header_too_large: [431, 'The request headers are too large'],
  internal_error: [500, 'Something went wrong on our side'],
  overloaded: [503, 'The service is busy; try again shortly'],
  dependency_unavailable: [503, 'A dependency is not available; try again shortly'],
} as const satisfies Record<string, readonly [number, string]>;

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

export const problemCatalogue = (): { code: ProblemCode; status: number; title: string }[] =>
  Object.entries(CATALOGUE).map(([code, [status, title]]) => ({ code: code as ProblemCode, status, title }));
