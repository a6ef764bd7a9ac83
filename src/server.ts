/** Process entry: nothing but starting, ending on a signal, and one line when that fails. */

import { enableCompileCache, flushCompileCache } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import type { Stop } from './wiring/start.ts';

// Garbage that outlived its request is collected at half as much again instead of four times what lives: 350 MB after
// a storm instead of 490, at no measurable cost. It has no effect on what may be allocated.
setFlagsFromString('--heap-growing-percent=50');

// Young garbage is collected by one thread: where every core may be hashing, its helpers cost 3 % of a login's CPU and
// shorten no pause (10 ms for 64 MB either way, measured on two cores).
if (availableParallelism() <= 4) setFlagsFromString('--no-parallel-scavenge');

// Code is optimised after 300 runs instead of 3000: what runs once per login, and takes a millisecond, is otherwise slow
// for the first quarter of an hour of a busy day (1.36 ms of CPU in the event loop instead of 1.16).
setFlagsFromString('--invocation-count-for-turbofan=300');

/** The first signal ends in order; the second ends at once. */
function endOnSignal(stop: Stop): void {
  let ending = false;
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.on(signal, () => {
      if (ending) process.exit(1);
      ending = true;
      stop().then(
        () => process.exit(0),
        () => process.exit(1),
      );
    });
  }
}

/** Beside the code, so that nobody who cannot change the code can change what is remembered of it. */
enableCompileCache(fileURLToPath(new URL('../node_modules/.cache/compile', import.meta.url)));

try {
  const { start } = await import('./wiring/start.ts');
  endOnSignal(await start());
  flushCompileCache();
} catch (error) {
  const known = (error as Error).name === 'ConfigError';
  process.stderr.write(`${known ? '' : 'Vestibule could not start: '}${(error as Error).message}\n`);
  process.exit(1);
}
