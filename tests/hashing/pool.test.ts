import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createHasher } from '../../src/kernel/hashing/index.ts';
import { createHashingPool } from '../../src/kernel/hashing/pool.ts';

const SLOW = { memoryCost: 19_456, timeCost: 16, parallelism: 1 };
const SETUP = { params: { memoryCost: 64, timeCost: 1, parallelism: 1 }, outputLen: 32 };

describe('under a storm', () => {
  test('of 200 requests two run, 64 wait and the others are told at once to come back', async () => {
    const hasher = createHasher({ threads: 2, params: { memoryCost: 4096, timeCost: 1, parallelism: 1 } });
    const seen: { running: number; queued: number }[] = [];
    const inOrder: string[] = [];
    const outcomes = await Promise.all(
      Array.from({ length: 200 }, async () => {
        const request = hasher.hash('secret', 'account');
        seen.push(hasher.load());
        try {
          await request;
          inOrder.push('hashed');
          return 'hashed';
        } catch (error) {
          inOrder.push('refused');
          expect(error).toMatchObject({ code: 'overloaded', extras: { retryAfter: 1 } });
          return 'refused';
        } finally {
          seen.push(hasher.load());
        }
      }),
    );
    expect(outcomes.filter((outcome) => outcome === 'hashed')).toHaveLength(66);
    expect(Math.max(...seen.map((load) => load.running))).toBe(2);
    expect(Math.max(...seen.map((load) => load.queued))).toBe(64);
    // A refusal waits for no hash.
    expect(inOrder.indexOf('hashed')).toBe(134);
    expect(hasher.load()).toEqual({ running: 0, queued: 0 });
    expect(await hasher.hash('after the storm', 'account')).toContain('$argon2id$');
    await hasher.close();
  });

  test('waiting requests are served in the order they came', async () => {
    const pool = createHashingPool({ threads: 1, queueLimit: 64, setup: SETUP });
    const order: number[] = [];
    await Promise.all(
      Array.from({ length: 10 }, async (_, i) => {
        await pool.run({ kind: 'hash', secret: 'secret', key: 'pepper' });
        order.push(i);
      }),
    );
    expect(order).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]);
    await pool.close();
  });

  test('each caller gets the answer to its own password, however many were taken together', async () => {
    const pool = createHashingPool({ threads: 1, queueLimit: 64, setup: SETUP });
    const phc = (await pool.run({ kind: 'hash', secret: 'right', key: 'pepper' })) as string;
    const answers = await Promise.all(
      Array.from({ length: 33 }, (_, i) =>
        pool.run({ kind: 'argon2', phc, secret: i % 3 === 0 ? 'right' : 'wrong', key: 'pepper' }),
      ),
    );
    expect(answers).toEqual(Array.from({ length: 33 }, (_, i) => i % 3 === 0));
    await pool.close();
  });

  test('timers keep ticking while hashes are computed', async () => {
    const hasher = createHasher({ threads: 2, params: SLOW });
    await Promise.all([hasher.hash('start', 'account'), hasher.hash('both', 'account')]);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await Promise.all(['a', 'b', 'c', 'd'].map((secret) => hasher.hash(secret, 'account')));
    clearInterval(timer);
    await hasher.close();
    // On the main thread there would be one tick per hash of some 150 ms.
    expect(ticks).toBeGreaterThan(4 * 5);
  });

  test('the shared thread pool stays free for signing', async () => {
    const hasher = createHasher({ threads: 4, params: SLOW });
    const hashes = () => ['a', 'b', 'c', 'd'].map((secret) => hasher.hash(secret, 'account'));
    await Promise.all(hashes());
    const running = hashes();
    await promisify(randomBytes)(32);
    expect(hasher.load().running).toBe(4);
    await Promise.all(running);
    await hasher.close();
  });
});

describe('a thread takes its share of the queue', () => {
  const ordinary = { kind: 'hash', secret: 'new', key: 'pepper' } as const;
  const costly = [
    { kind: 'bcrypt', phc: '', secret: 'old' },
    { kind: 'argon2', phc: '', secret: 'foreign', key: 'none' },
  ] as const;
  const pool = (threads: number) =>
    createHashingPool({
      threads,
      queueLimit: 64,
      setup: SETUP,
      workerUrl: new URL('./counting-worker.ts', import.meta.url),
    });

  test('at most eight at a time, and one when nobody waits', async () => {
    const one = pool(1);
    const sizes = await Promise.all(Array.from({ length: 21 }, () => one.run(ordinary)));
    expect(sizes).toEqual(['1', ...Array(16).fill('8'), ...Array(4).fill('4')]);
    expect(await one.run(ordinary)).toBe('1');
    await one.close();
  });

  test('leaving as much to the other threads', async () => {
    const four = pool(4);
    const sizes = await Promise.all(Array.from({ length: 12 }, () => four.run(ordinary)));
    expect(Math.max(...sizes.map(Number))).toBe(2);
    await four.close();
  });

  test('but never with an imported hash, which may take seconds', async () => {
    const one = pool(1);
    const tasks = [ordinary, ordinary, ordinary, costly[0], costly[1], ordinary, ordinary];
    expect(await Promise.all(tasks.map((task) => one.run(task)))).toEqual([
      '1',
      '2',
      '2',
      '1',
      '1',
      '2',
      '2',
    ]);
    await one.close();
  });
});

describe('a thread that dies', () => {
  const pool = () =>
    createHashingPool({
      threads: 1,
      queueLimit: 8,
      setup: SETUP,
      workerUrl: new URL('./crashing-worker.ts', import.meta.url),
    });

  test.each(['exit', 'throw'])('by %s costs its own request only and is replaced', async (secret) => {
    const threads = pool();
    await threads.run({ kind: 'hash', secret: 'fine', key: 'pepper' });
    const doomed = threads.run({ kind: 'hash', secret, key: 'pepper' });
    const waiting = threads.run({ kind: 'hash', secret: 'fine', key: 'pepper' });
    await expect(doomed).rejects.toMatchObject({ code: 'overloaded' });
    expect(await waiting).toContain('$argon2id$');
    expect(threads.load()).toEqual({ running: 0, queued: 0 });
    await threads.close();
  });

  test('at every start leaves each request refused instead of waiting for ever', async () => {
    const threads = createHashingPool({
      threads: 1,
      queueLimit: 8,
      setup: SETUP,
      workerUrl: new URL('./no-such-worker.ts', import.meta.url),
    });
    const outcomes = await Promise.allSettled(
      [1, 2, 3].map(() => threads.run({ kind: 'hash', secret: 'fine', key: 'pepper' })),
    );
    expect(outcomes.map((outcome) => outcome.status)).toEqual(['rejected', 'rejected', 'rejected']);
    await threads.close();
  });
});

test('closing refuses what waits, what runs and what comes later', async () => {
  const pool = createHashingPool({ threads: 1, queueLimit: 8, setup: { params: SLOW, outputLen: 32 } });
  const pending = Promise.allSettled(
    [1, 2, 3].map(() => pool.run({ kind: 'hash', secret: 'secret', key: 'pepper' })),
  );
  await pool.close();
  for (const outcome of await pending)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'overloaded' } });
  await expect(pool.run({ kind: 'hash', secret: 'secret', key: 'pepper' })).rejects.toMatchObject({
    code: 'overloaded',
  });
});

test('a process with nothing left to hash ends by itself, but not before an awaited hash is there', async () => {
  const script = `
    const { createHasher } = await import(${JSON.stringify(new URL('../../src/kernel/hashing/index.ts', import.meta.url))});
    const hasher = createHasher();
    const phc = await hasher.hash('secret', 'account');
    console.log(await hasher.verify(phc, 'secret', 'account'));`;
  const { stdout } = await promisify(execFile)(process.execPath, ['--input-type=module', '-e', script], {
    cwd: fileURLToPath(new URL('../..', import.meta.url)),
    env: {},
    timeout: 15_000,
  });
  expect(stdout).toBe('true\n');
});
