/**
 * A fixed number of hashing threads with a short queue before them. Work beyond the queue is refused at once: under a
 * login storm a quick refusal is kinder than a slow one. While many wait, a thread takes several at a time and hands
 * them back one after the other. Threads start when first needed and never keep a process alive that has nothing left to hash.
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

/**
 * What a thread takes at most. A hash evicts whatever the cores had in their caches, so that a login resumed alone
 * pays for all of it again: in groups of eight the event loop needs 1.2 ms of CPU per login instead of 1.8, Postgres
 * 0.7 instead of 0.95. No request waits longer for the whole: the queue is as long as before.
 */
const GROUP = 8;

/** One of today's strength; imported hashes may take much longer, and no other job should wait for them in a group. */
const ordinary = ({ task }: Job): boolean =>
  task.kind === 'hash' || (task.kind === 'argon2' && task.key !== 'none');

const overloaded = (cause?: unknown) => new Problem('overloaded', { retryAfter: 1 }, { cause });

export function createHashingPool({ threads, queueLimit, setup, workerUrl }: PoolOptions): HashingPool {
  const url = workerUrl ?? new URL('./worker.ts', import.meta.url);
  const idle: Worker[] = [];
  const busy = new Map<Worker, Job[]>();
  const queue: Job[] = [];
  let closed = false;

  /** What the worker was at, which is no longer its own. */
  function release(worker: Worker): Job[] {
    const jobs = busy.get(worker) ?? [];
    busy.delete(worker);
    return jobs;
  }

  function start(): Worker {
    // No inherited flags: a loader or a debugger port given to the process is not meant for its hashing threads.
    const worker = new Worker(url, { workerData: setup, execArgv: [], name: 'hashing' });
    worker.on('message', (answers: HashingAnswer[]) => {
      const jobs = release(worker);
      worker.unref();
      idle.push(worker);
      dispatch();
      // Two in a turn of the event loop, so that cheap requests come between: all at once made the p99 of a refresh beside
      // a storm a third longer, one by one costs a login 1 % more.
      const tell = (i: number) => {
        const [answer, job] = [answers[i], jobs[i]];
        if (!answer || !job) return;
        if ('value' in answer) job.resolve(answer.value);
        else job.reject(new Problem('internal_error', {}, { cause: new Error(answer.failure) }));
        if (i % 2 === 0) tell(i + 1);
        else setImmediate(tell, i + 1);
      };
      tell(0);
    });
    const lose = (cause: unknown) => {
      const jobs = release(worker);
      const at = idle.indexOf(worker);
      if (at >= 0) idle.splice(at, 1);
      for (const job of jobs) job.reject(overloaded(cause));
      dispatch();
    };
    worker.on('error', lose);
    worker.on('exit', (code) => lose(new Error(`A hashing thread ended with code ${code}`)));
    return worker;
  }

  /** The next jobs of one thread: its share of the queue, in the order they came. */
  function group(): Job[] {
    const share = Math.min(GROUP, Math.floor(queue.length / threads));
    const until = queue.slice(0, share).findIndex((job) => !ordinary(job));
    return queue.splice(0, Math.max(1, until < 0 ? share : until));
  }

  function dispatch(): void {
    while (!closed && queue.length > 0 && busy.size < threads) {
      const jobs = group();
      try {
        const worker = idle.pop() ?? start();
        busy.set(worker, jobs);
        worker.ref();
        worker.postMessage(jobs.map((job) => job.task));
      } catch (cause) {
        for (const job of jobs) job.reject(overloaded(cause));
      }
    }
  }

  const load = () => {
    let pending = queue.length;
    for (const jobs of busy.values()) pending += jobs.length;
    return { running: busy.size, queued: pending - busy.size };
  };

  return {
    run(task) {
      if (closed || (busy.size >= threads && load().queued >= queueLimit))
        return Promise.reject(overloaded());
      return new Promise((resolve, reject) => {
        queue.push({ task, resolve, reject });
        dispatch();
      });
    },
    load,
    async close() {
      closed = true;
      for (const job of queue.splice(0)) job.reject(overloaded());
      await Promise.all([...idle, ...busy.keys()].map((worker) => worker.terminate()));
    },
  };
}
