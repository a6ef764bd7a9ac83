/** The real hashing thread, except that two secrets make it die in the middle of a task. */
import { parentPort } from 'node:worker_threads';
import type { HashingTask } from '../../src/kernel/hashing/worker.ts';

parentPort!.on('message', (tasks: HashingTask[]) => {
  const secrets = tasks.map((task) => task.secret);
  if (secrets.includes('exit')) process.exit(3);
  if (secrets.includes('throw')) throw new Error('thread died');
});
await import('../../src/kernel/hashing/worker.ts');
