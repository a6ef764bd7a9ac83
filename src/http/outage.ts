/** A store that cannot serve now is a 503 the client may repeat, whatever layer noticed. */
import { isOutage } from '../../db/driver/outage.ts';
import { StoreUnavailable } from '../adapters/redis.ts';
import { Problem } from '../kernel/problems.ts';

const RETRY_AFTER_S = 2;

/** `dependency_unavailable`, or null when the error is something else. */
export const outageProblem = (error: unknown): Problem | null =>
  isOutage(error) || error instanceof StoreUnavailable
    ? new Problem('dependency_unavailable', { retryAfter: RETRY_AFTER_S }, { cause: error })
    : null;
