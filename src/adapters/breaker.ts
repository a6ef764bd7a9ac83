/**
 * Keeps a slow store from slowing everything else: bounded patience, then a pause in which calls fail at once.
 * It must never decide what a failure means; the caller fails open or closed.
 */

/** A store that counts or caches could not answer in time. The message never carries command arguments. */
export class StoreUnavailable extends Error {
  constructor(message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'StoreUnavailable';
  }
}

export type Breaker = {
  /** Runs the operation. @throws StoreUnavailable for every failure, for lost patience, and while paused. */
  run<T>(operation: () => Promise<T>): Promise<T>;
};

export type BreakerOptions = {
  /** Longest wait for one operation, in milliseconds. */
  patienceMs: number;
  /** Failures in a row before the pause. */
  failures?: number;
  /** Length of the pause, in milliseconds; afterwards a single call probes the store. */
  pauseMs?: number;
};

export function createBreaker({ patienceMs, failures = 5, pauseMs = 500 }: BreakerOptions): Breaker {
  let state: 'closed' | 'paused' | 'due' | 'probing' = 'closed';
  let failed = 0;

  const fail = () => {
    failed += 1;
    if (state === 'paused' || (state === 'closed' && failed < failures)) return;
    state = 'paused';
    setTimeout(() => {
      state = 'due';
    }, pauseMs).unref();
  };

  const succeed = () => {
    failed = 0;
    if (state === 'probing') state = 'closed';
  };

  return {
    async run(operation) {
      if (state === 'paused' || state === 'probing') throw new StoreUnavailable('the store is not answering');
      if (state === 'due') state = 'probing';
      try {
        const value = await within(patienceMs, operation);
        succeed();
        return value;
      } catch (cause) {
        fail();
        throw asUnavailable(cause);
      }
    },
  };
}

/** @throws StoreUnavailable when the operation takes longer, and what it throws itself */
export function within<T>(ms: number, operation: () => Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new StoreUnavailable(`no answer within ${ms} ms`)), ms);
    operation()
      .then(resolve, reject)
      .finally(() => clearTimeout(timer));
  });
}

/** Client errors carry the command with its arguments; only their text may travel on. */
function asUnavailable(cause: unknown): StoreUnavailable {
  if (cause instanceof StoreUnavailable) return cause;
  return new StoreUnavailable(cause instanceof Error ? cause.message : 'the store failed');
}
