/** `vestibule start`: flags of the process, a start, and an orderly end on a signal. Nothing is decided here. */
import { enableCompileCache, flushCompileCache } from 'node:module';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';
import { setFlagsFromString } from 'node:v8';
import type { Stop } from '../wiring/start.ts';
import { argumentsOf, type Command, EXIT } from './command.ts';

/** Longer than the longest request (5 s) and the relay's last deliveries; shorter than a container's grace period. */
const END_WITHIN_MS = 18_000;

function setFlags(): void {
  // Garbage that outlived its request is collected at half as much again instead of four times what lives: 350 MB after
  // a storm instead of 490, at no measurable cost. It has no effect on what may be allocated.
  setFlagsFromString('--heap-growing-percent=50');

  // Young garbage is collected by one thread: where every core may be hashing, its helpers cost 3 % of a login's CPU and
  // shorten no pause (10 ms for 64 MB either way, measured on two cores).
  if (availableParallelism() <= 4) setFlagsFromString('--no-parallel-scavenge');

  // Code is optimised after 300 runs instead of 3000: what runs once per login, and takes a millisecond, is otherwise
  // slow for the first quarter of an hour of a busy day (1.36 ms of CPU in the event loop instead of 1.16).
  setFlagsFromString('--invocation-count-for-turbofan=300');
}

/**
 * The first signal ends the service in order, also while it is still starting. Further signals change nothing: npm sends
 * Ctrl-C a second time to a process that the terminal has signalled already.
 */
function endOnSignal(starting: Promise<Stop>): void {
  let ending = false;
  const end = (): void => {
    if (ending) return;
    ending = true;
    setTimeout(() => process.exit(EXIT.failed), END_WITHIN_MS).unref();
    starting
      .then((stop) => stop())
      .then(
        () => process.exit(EXIT.ok),
        () => process.exit(EXIT.failed),
      );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, end);
}

export const command: Command = {
  usage: 'usage: vestibule start',
  async run(args) {
    argumentsOf({ args });
    setFlags();
    // Beside the code, so that only those who can change the code can change what is remembered of it.
    enableCompileCache(fileURLToPath(new URL('../../node_modules/.cache/compile', import.meta.url)));
    const starting = import('../wiring/start.ts').then(({ start }) => start());
    endOnSignal(starting);
    await starting.catch((error: Error) => {
      if (error.name === 'ConfigError') throw error;
      throw new Error(`Vestibule could not start: ${error.message}`, { cause: error });
    });
    flushCompileCache();
    return undefined;
  },
};
