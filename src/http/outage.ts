/** A store or a system outside that cannot serve now is a 503 the client may repeat, whatever layer noticed. */
import { isOutage } from '../../db/driver/outage.ts';
import { BrokerUnavailable } from '../adapters/ports.ts';
import { StoreUnavailable } from '../adapters/redis.ts';
import { KmsUnavailable } from '../kernel/kms.ts';
import { Problem } from '../kernel/problems.ts';

const RETRY_AFTER_S = 2;

/** `dependency_unavailable`, or null when the error is something else. */
export function outageProblem(error: unknown): Problem | null {
  const known =
    isOutage(error) ||
    [StoreUnavailable, KmsUnavailable, BrokerUnavailable].some((of) => error instanceof of);
  if (!known) return null;
  const wanted = error instanceof BrokerUnavailable ? error.retryAfterS : null;
  return new Problem('dependency_unavailable', { retryAfter: wanted ?? RETRY_AFTER_S }, { cause: error });
}
