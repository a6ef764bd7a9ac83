/**
 * One process per data folder. A lock left by a dead process is never deleted, only succeeded by the next generation,
 * because deleting and re-creating a stale lock lets two starters both believe they won.
 */
import { randomUUID } from 'node:crypto';
import { existsSync, linkSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { startTimeOf } from './processes.ts';

type Holder = { pid: number; started: string };

const generations = (dir: string): number[] =>
  readdirSync(dir)
    .map((name) => /^lock\.(\d+)$/.exec(name)?.[1])
    .filter((digits) => digits !== undefined)
    .map(Number)
    .sort((a, b) => a - b);

/** Undefined for a released lock: its file is emptied, not removed. */
function holderOf(file: string): Holder | undefined {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}

/**
 * Takes the lock of `dir`, which must exist, and answers the function that releases it.
 * @throws Error naming the holder's pid while another live process, or this one, holds it.
 */
export function acquireLock(dir: string): () => void {
  const file = (generation: number) => join(dir, `lock.${generation}`);
  for (;;) {
    const newest = generations(dir).at(-1) ?? 0;
    const holder = holderOf(file(newest));
    if (holder && startTimeOf(holder.pid) === holder.started) {
      throw new Error(
        `The data folder ${dir} is in use by process ${holder.pid}. Stop that process, use another folder, or set DATABASE_URL.`,
      );
    }
    const mine = newest + 1;
    const draft = join(dir, `draft.${randomUUID()}`);
    writeFileSync(draft, JSON.stringify({ pid: process.pid, started: startTimeOf(process.pid) }));
    try {
      linkSync(draft, file(mine)); // Complete from its first moment, and refused when somebody else was faster.
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'EEXIST') continue;
      throw error;
    } finally {
      rmSync(draft, { force: true });
    }
    if (generations(dir).at(-1) !== mine) {
      rmSync(file(mine), { force: true });
      continue;
    }
    for (const older of generations(dir)) if (older < mine) rmSync(file(older), { force: true });
    return () => {
      if (existsSync(dir)) writeFileSync(file(mine), '');
    };
  }
}
