/** The text behind each problem's `type` address. Says what to do; never how a check works inside. */
import type { ProblemCode } from '../kernel/problems.ts';

export const PROBLEM_HELP: Record<ProblemCode, string> = {
  validation_failed:
    'One or more fields were refused. `errors` points at each; correct them and send the request again.',
  malformed_body:
    'The body is empty, is not strict UTF-8 JSON, repeats a key, nests too deeply, or was cut short. Send one JSON value.',
  invalid_code: 'The code is wrong, expired, used, or was replaced by a newer one. Ask for a new code.',
  unauthenticated: 'The route needs a credential and none was sent. Send `Authorization: Bearer <token>`.',
  invalid_token:
    'The token is malformed, expired, revoked or meant for another audience. Refresh it or log in again.',
  invalid_flow_token:
    'The flow token is missing, expired or belongs to another flow. Prove the identifier again to resume.',
  invalid_credentials: 'The credentials do not match. The answer is the same for known and unknown accounts.',
  invalid_signature: 'The signature, its timestamp or its key is wrong. Sign the exact bytes that are sent.',
  step_up_required:
    'The action asks for a proof within the last `max_age` seconds at the level `acr_values`. Give it at `POST /v1/auth/step-up`, then repeat the request with the token of its answer.',
  access_denied: 'The caller is known but may not do this.',
  account_blocked: 'The account has been blocked. Only an operator can change that.',
  factor_required:
    'This is shown only right after a second factor, and the account has none. Set one up first.',
  invalid_session_token:
    'The second factor of this login cannot be answered any more: the token is unknown, used or expired. Log in again.',
  email_not_verified: 'Verify the e-mail address first; the verification message can be requested again.',
  insufficient_scope:
    'The token is valid but lacks a scope the route demands. Obtain a token that carries it.',
  foreign_origin: 'A browser sent this from an origin that is not on the list of allowed origins.',
  not_found: 'There is nothing here, or it is not yours.',
  method_not_allowed: 'The path exists, but not for this method. `Allow` lists the methods it takes.',
  event_refused: 'The flow is in `state` and does not accept this step now. `next` lists what it accepts.',
  already_verified:
    'The code was right before, and the answer to it was given or lost. The flow is in `state`; go on with `next`.',
  conflict: 'The request contradicts what is stored. Read the resource again before deciding.',
  credentials_unreadable:
    'What is stored was altered, moved, or belongs to a key that is gone; nothing of it is shown. An alarm was raised. Send the credentials anew.',
  flow_needs_restart: 'The flow was abandoned, expired or cannot be read any more. Start a new one.',
  idempotency_in_progress:
    'The first request with this Idempotency-Key has not finished. Repeat it after `retry_after`.',
  idempotency_answer_lost:
    'The first request with this Idempotency-Key was carried out, but its answer can no longer be given. Read the current state; do not send it again under another key.',
  payload_too_large: 'The body exceeds the limit: 16 KiB, or 64 KiB for webhooks.',
  unsupported_media_type:
    'Only `application/json` in UTF-8, without content encoding, is read; introspection takes a form as well.',
  broker_rejected:
    'The broker refuses the key, the secret or the token, or they belong to another user of the broker. Nothing was stored or replaced.',
  weak_password: 'The password does not meet the policy. `errors` lists the reasons; choose another.',
  weak_pin: 'The PIN is too easy to guess. Choose another.',
  idempotency_mismatch: 'The Idempotency-Key was used before with a different request. Use a new key.',
  misdirected_request: 'The host name of the request is not one this service answers for.',
  rate_limited: 'A limit was reached. Wait `retry_after` seconds.',
  header_too_large: 'The request line and headers exceed 16 KiB.',
  internal_error:
    'Something failed on our side. Nothing was changed unless a repeat says so; quote `request_id`.',
  overloaded: 'The service is shedding load. Repeat after `retry_after` seconds.',
  dependency_unavailable: 'A store this request needs is not reachable. Repeat after `retry_after` seconds.',
};
