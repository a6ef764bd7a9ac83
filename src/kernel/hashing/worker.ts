/**
 * A hashing thread: one password after the other, computed synchronously, so that neither the event loop nor libuv's pool
 * (where signing happens) ever waits for it. It must never log what it is given.
 */
import { createHmac } from 'node:crypto';
import { setPriority } from 'node:os';
import { parentPort, workerData } from 'node:worker_threads';
import { hashSync, type Options, verifySync } from '@node-rs/argon2';
import type { HashParams } from './phc.ts';

export type HashingSetup = { params: HashParams; outputLen: number; pepper?: Uint8Array };
/** Argon2's secret (RFC 9106): none, the pepper, or one derived from the pepper for an account. */
export type HashingKey = 'none' | 'pepper' | { account: string };
export type HashingTask =
  | { kind: 'hash'; secret: string; key: HashingKey }
  | { kind: 'argon2'; phc: string; secret: string; key: HashingKey }
  | { kind: 'bcrypt'; phc: string; secret: string };
export type HashingAnswer = { value: string | boolean } | { failure: string };

const { params, outputLen, pepper } = workerData as HashingSetup;

/** The label keeps this use of the pepper apart from any other. */
const ACCOUNT_LABEL = 'vestibule/hash/account/1:';

function secretOption(key: HashingKey): Options {
  if (key === 'none') return {};
  if (key === 'pepper') return pepper ? { secret: pepper } : {};
  const derived = createHmac('sha256', pepper ?? '').update(ACCOUNT_LABEL + key.account);
  return { secret: derived.digest() };
}

// On Linux 0 names the calling thread alone; elsewhere it would slow the whole process down. Logins lose nothing by
// it; beside a storm of them the p99 of a refresh is 21 ms (24 at 10, where it came close to three times the idle one).
if (process.platform === 'linux') {
  try {
    setPriority(0, 15);
  } catch {
    // A container may forbid it; hashing then merely competes on equal terms.
  }
}

async function perform(task: HashingTask): Promise<string | boolean> {
  switch (task.kind) {
    case 'hash':
      return hashSync(task.secret, {
        ...params,
        ...secretOption(task.key),
        outputLen,
        algorithm: 2,
        version: 1,
      });
    case 'argon2':
      return verifySync(task.phc, task.secret, secretOption(task.key));
    case 'bcrypt':
      return (await import('bcryptjs')).compareSync(task.secret, task.phc);
  }
}

parentPort!.on('message', async (tasks: HashingTask[]) => {
  const answers: HashingAnswer[] = [];
  for (const task of tasks) {
    try {
      answers.push({ value: await perform(task) });
    } catch (error) {
      answers.push({ failure: String(error) });
    }
  }
  parentPort!.postMessage(answers);
});
