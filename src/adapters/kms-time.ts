/** Bounded patience for a key management system: the caller hears of it in time even when the work ignores the signal. */

/** @throws what `work` throws, or the reason of the signal when it takes longer */
export async function withinMs<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(ms);
  return Promise.race([
    work(signal),
    new Promise<never>((_resolve, reject) => {
      signal.addEventListener('abort', () => reject(signal.reason), { once: true });
    }),
  ]);
}
