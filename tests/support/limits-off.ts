/** Every limit out of the way and hashes that cost nothing, for tests of something else. */
import { VARIABLES } from '../../src/config/variables.ts';

/** Guesses of secrets and hashes of one flow stay counted, and what is not one window is none to widen. */
const KEPT = /^LIMIT_(CODE_CHECK_DAILY|SECOND_FACTOR|SET_PASSWORD|.*_(ATTEMPTS|SECONDS|MINUTES|HOURS))$/;

export const LIMITS_OFF: Record<string, string> = {
  HASH_MEMORY_KIB: '1024',
  HASH_ITERATIONS: '1',
  HASH_THREADS: '1',
  HASH_QUEUE: '1000',
  LIMIT_CODE_SEND_COOLDOWN_SECONDS: '1',
  ...Object.fromEntries(
    Object.keys(VARIABLES)
      .filter((name) => name.startsWith('LIMIT_') && !KEPT.test(name))
      .map((name) => [name, '1000000/1s']),
  ),
};
