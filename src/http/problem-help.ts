/** The text behind each problem's `type` address: why it happens and what to do. Never how a check works inside. */
import type { ProblemCode } from '../kernel/problems.ts';

export type Help = { cause: string; fix: string };

const of = (cause: string, fix: string): Help => ({ cause, fix });

export const PROBLEM_HELP: Record<ProblemCode, Help> = {
  validation_failed: of(
    'One or more fields were refused. `errors` points at each.',
    'Correct these fields and send the request again.',
  ),
  malformed_body: of(
    'The body is not strict UTF-8 JSON, repeats a key, nests too deeply, or was cut short; or the request is not valid HTTP/1.1.',
    'Send one JSON value, in a well-formed request.',
  ),
  invalid_code: of(
    'The code is wrong, expired, used, or was replaced by a newer one.',
    'Ask for a new code.',
  ),
  unauthenticated: of(
    'The route needs a credential and none was sent.',
    'Send `Authorization: Bearer <token>`.',
  ),
  invalid_token: of(
    'The token is malformed, expired, revoked or meant for another audience.',
    'Refresh it or log in again.',
  ),
  invalid_flow_token: of(
    'The flow token is missing, expired or belongs to another flow.',
    'Prove the identifier again to resume.',
  ),
  invalid_credentials: of(
    'The credentials do not match. The answer is the same for known and unknown accounts.',
    'Check the identifier and the password, or set a new password by recovery.',
  ),
  invalid_session_token: of(
    'The second factor of this login cannot be answered any more: the token is unknown, used or expired.',
    'Log in again.',
  ),
  invalid_signature: of(
    'The signature, its timestamp or its key is wrong.',
    'Sign the exact bytes that are sent.',
  ),
  step_up_required: of(
    'The action asks for a proof within the last `max_age` seconds at the level `acr_values`.',
    'Give it at `POST /v1/auth/step-up`, then repeat the request with the token of its answer.',
  ),
  access_denied: of(
    'The caller is known but may not do this.',
    'Use an account that may, or ask the operator of this service.',
  ),
  account_blocked: of('The account has been blocked.', 'Only the operator of this service can change that.'),
  risk_refused: of(
    'The risk check of this service refused to open the account. Repeating the sign-up gives the same answer.',
    'The person may ask the operator of this service to look at it again, quoting `flow_id`.',
  ),
  email_not_verified: of(
    'The e-mail address has not been verified yet.',
    'Verify it first; the verification message can be requested again.',
  ),
  insufficient_scope: of(
    'The token is valid but lacks a scope the route demands.',
    'Obtain a token that carries it.',
  ),
  foreign_origin: of(
    'A browser sent this from an origin that is not on the list of allowed origins.',
    'Send it from an allowed origin, or add the origin to `CORS_ALLOWED_ORIGINS`.',
  ),
  not_found: of('There is nothing here, or it is not yours.', 'Check the path and the id.'),
  method_not_allowed: of(
    'The path exists, but not for this method.',
    'Use one of the methods that `Allow` lists.',
  ),
  event_refused: of(
    'The flow is in `state` and does not accept this step now.',
    'Go on with one of the steps in `next`.',
  ),
  already_verified: of(
    'The code was right before, and the answer to it was given or lost. The flow is in `state`.',
    'Go on with `next`.',
  ),
  conflict: of('The request contradicts what is stored.', 'Read the resource again before deciding.'),
  flow_needs_restart: of('The flow was abandoned, expired or cannot be read any more.', 'Start a new flow.'),
  idempotency_in_progress: of(
    'The first request with this Idempotency-Key has not finished.',
    'Repeat it after `retry_after` seconds.',
  ),
  idempotency_answer_lost: of(
    'The first request with this Idempotency-Key was carried out, but its answer can no longer be given.',
    'Read the current state; do not send it again under another key.',
  ),
  payload_too_large: of(
    'The body exceeds the limit: 16 KiB, or 64 KiB for webhooks.',
    'Send a smaller body.',
  ),
  unsupported_media_type: of(
    'The body has another content type or encoding than is read here.',
    'Send `application/json` in UTF-8, without content encoding; introspection takes a form as well.',
  ),
  weak_password: of(
    'The password does not meet the policy. `errors` lists the reasons.',
    'Choose another password.',
  ),
  weak_pin: of('The PIN is too easy to guess.', 'Choose another PIN.'),
  idempotency_mismatch: of('The Idempotency-Key was used before with a different request.', 'Use a new key.'),
  misdirected_request: of(
    'The host name of the request is not one this service answers for.',
    'Use the name in `PUBLIC_URL`, or add the name to `CONSOLE_HOSTS`.',
  ),
  rate_limited: of('A limit was reached.', 'Wait `retry_after` seconds.'),
  header_too_large: of('The request line and headers exceed 16 KiB.', 'Send fewer or shorter headers.'),
  internal_error: of(
    'Something failed on our side. Nothing was changed unless a repeat says so.',
    'Repeat the request later; quote `request_id` when you report it.',
  ),
  not_implemented: of(
    'This service knows no such method.',
    'Use GET, HEAD, POST, PUT, PATCH, DELETE or OPTIONS.',
  ),
  overloaded: of('The service is shedding load.', 'Repeat after `retry_after` seconds.'),
  dependency_unavailable: of(
    'A store this request needs is not reachable.',
    'Repeat after `retry_after` seconds.',
  ),
};
