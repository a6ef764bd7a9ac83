/** The real hashing thread, except that two secrets make it die in the middle of a task. */
import { parentPort } from 'node:worker_threads';
import type { HashingTask } from '../../src/hashing/worker.ts';

parentPort!.on('message', (task: HashingTask) => {
  if (task.secret === 'exit') process.exit(3);
  if (task.secret === 'throw') throw new Error('thread died');
});
await import('../../src/hashing/worker.ts');
