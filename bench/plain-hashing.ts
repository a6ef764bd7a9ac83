/** Password checks as a straight line makes them: a thread per core, one password at a time, first come first served. */
import { availableParallelism } from 'node:os';
import { Worker } from 'node:worker_threads';
import { DEFAULT_PARAMS } from '../src/kernel/hashing/index.ts';
import { dummyHash, TAG_BYTES } from '../src/kernel/hashing/phc.ts';
import type { HashingAnswer, HashingTask } from '../src/kernel/hashing/worker.ts';

type Job = { task: HashingTask; done(value: string | boolean): void; failed(reason: Error): void };

export function plainHasher(pepper: Buffer) {
  const queue: Job[] = [];
  const idle: Worker[] = [];
  const running = new Map<Worker, Job>();

  function next(): void {
    while (queue.length > 0 && idle.length > 0) {
      const [worker, job] = [idle.pop()!, queue.shift()!];
      running.set(worker, job);
      worker.postMessage([job.task]);
    }
  }
  for (let i = 0; i < availableParallelism(); i++) {
    const workerData = { params: DEFAULT_PARAMS, outputLen: TAG_BYTES, pepper };
    const worker = new Worker(new URL('../src/kernel/hashing/worker.ts', import.meta.url), { workerData });
    worker.on('message', ([answer]: [HashingAnswer]) => {
      const job = running.get(worker);
      idle.push(worker);
      next();
      if ('value' in answer) job?.done(answer.value);
      else job?.failed(new Error(answer.failure));
    });
    idle.push(worker);
  }
  const perform = (task: HashingTask) =>
    new Promise<string | boolean>((done, failed) => {
      queue.push({ task, done, failed });
      next();
    });
  const dummy = dummyHash(DEFAULT_PARAMS);
  return {
    hash: (secret: string) => perform({ kind: 'hash', secret, key: 'pepper' }) as Promise<string>,
    verify: (phc: string | null, secret: string) =>
      perform({ kind: 'argon2', phc: phc ?? dummy, secret, key: 'pepper' }) as Promise<boolean>,
  };
}
