/** Stands where a hashing thread would, and answers each task with the size of the group it came in. */
import { parentPort } from 'node:worker_threads';

parentPort!.on('message', (tasks: unknown[]) => {
  parentPort!.postMessage(tasks.map(() => ({ value: String(tasks.length) })));
});
