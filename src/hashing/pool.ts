/**
 * A fixed number of hashing threads with a short queue before them. Work beyond the queue is refused at once: under a
 * login storm a quick refusal is kinder than a slow one. Threads start when first needed and never keep a process alive
 * that has nothing left to hash.
 */
import { Worker } from 'node:worker_threads';
import { Problem } from '../problems.ts';
import type { HashingAnswer, HashingSetup, HashingTask } from './worker.ts';

type Job = { task: HashingTask; resolve(value: string | boolean): void; reject(reason: Error): void };

export interface HashingPool {
  /** Throws `overloaded` when the queue is full, the thread dies or the pool is closed. */
  run(task: HashingTask): Promise<string | boolean>;
  load(): { running: number; queued: number };
  /** Refuses what is waiting and ends the threads. */
  close(): Promise<void>;
}

type PoolOptions = { threads: number; queueLimit: number; setup: HashingSetup; workerUrl?: URL };

const overloaded = (cause?: unknown) => new Problem('overloaded', { retryAfter: 1 }, { cause });

export function createHashingPool({ threads, queueLimit, setup, workerUrl }: PoolOptions): HashingPool {
  const url = workerUrl ?? new URL('./worker.ts', import.meta.url);
  const idle: Worker[] = [];
  const busy = new Map<Worker, Job>();
  const queue: Job[] = [];
  let closed = false;

  function start(): Worker {
    // No inherited flags: a loader or a debugger port given to the process is not meant for its hashing threads.
    const worker = new Worker(url, { workerData: setup, execArgv: [], name: 'hashing' });
    worker.on('message', (answer: HashingAnswer) => {
      const job = busy.get(worker);
      busy.delete(worker);
      worker.unref();
      idle.push(worker);
      if ('value' in answer) job?.resolve(answer.value);
      else job?.reject(new Problem('internal_error', {}, { cause: new Error(answer.failure) }));
      dispatch();
    });
    const lose = (cause: unknown) => {
      const job = busy.get(worker);
      busy.delete(worker);
      const at = idle.indexOf(worker);
      if (at >= 0) idle.splice(at, 1);
      job?.reject(overloaded(cause));
      dispatch();
    };
    worker.on('error', lose);
    worker.on('exit', (code) => lose(new Error(`A hashing thread ended with code ${code}`)));
    return worker;
  }

  function dispatch(): void {
    while (!closed && queue.length > 0 && busy.size < threads) {
      const job = queue.shift()!;
      try {
        const worker = idle.pop() ?? start();
        busy.set(worker, job);
        worker.ref();
        worker.postMessage(job.task);
      } catch (cause) {
        job.reject(overloaded(cause));
      }
    }
  }

  return {
    run(task) {
      if (closed || (busy.size >= threads && queue.length >= queueLimit)) return Promise.reject(overloaded());
      return new Promise((resolve, reject) => {
        queue.push({ task, resolve, reject });
        dispatch();
      });
    },
    load: () => ({ running: busy.size, queued: queue.length }),
    async close() {
      closed = true;
      for (const job of queue.splice(0)) job.reject(overloaded());
      await Promise.all([...idle, ...busy.keys()].map((worker) => worker.terminate()));
    },
  };
}
