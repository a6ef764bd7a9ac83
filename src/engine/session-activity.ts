/** Notes when sessions were last used, at most once a minute each and beside the request. Never worth a failure. */
import { wordsOf } from '../../db/words.ts';
import type { Clock } from '../kernel/clock.ts';

const EVERY_MS = 60_000;
const FLUSH_MS = 1000;

export type Activity = ReturnType<typeof createActivity>;

export function createActivity(deps: {
  touch(ids: string[], now: Date): Promise<void>;
  clock: Clock;
  log: { warn(details: object, message: string): void };
}) {
  const used = new Set<string>();

  async function flush(): Promise<void> {
    if (used.size === 0) return;
    const ids = [...used];
    used.clear();
    await deps.touch(ids, new Date(deps.clock.now())).catch((error: Error) => {
      deps.log.warn({ sessions: ids.length, reason: wordsOf(error) }, 'last use was not noted');
    });
  }

  const timer = setInterval(() => void flush(), FLUSH_MS);
  timer.unref();

  return {
    /** Remembers the session for the next write, when its row is a minute old. */
    used(session: { id: string; lastActiveAt: Date }): void {
      if (deps.clock.now() - session.lastActiveAt.getTime() >= EVERY_MS) used.add(session.id);
    },
    flush,
    async close(): Promise<void> {
      clearInterval(timer);
      await flush();
    },
  };
}
