/**
 * Commits that come while others are being written travel together: one statement, one flush of the log for all of them.
 * Whatever Postgres refuses of a group is tried again commit by commit, so none fails because of
 * another. When the server itself fails, all waiting commits fail at once: one timeout after the other helps no caller.
 */
import type { Sql } from 'postgres';
import { conflictOf } from '../driver/conflicts.ts';
import { isOutage } from '../driver/outage.ts';
import { run, shapeOf } from './compose.ts';
import type { WriteFragment } from './fragment.ts';
import type { GroupCommit } from './runner.ts';

type Waiting = {
  parts: WriteFragment[];
  shape: string;
  subjects: ReadonlySet<string>;
  resolve(reports: Record<string, unknown>): void;
  reject(error: unknown): void;
};

/** Sizes are powers of two, so that a shape has few texts and each connection few plans. */
const MOST = 8;

/** A conflict or a lock that is not to be had concerns one commit; any other failure of the server concerns all. */
const isOutageOfAll = (error: unknown): boolean =>
  isOutage(error) && !/^(40|55)/.test(String((error as { code?: unknown }).code));

/** By the first subject: groups that meet then take their locks in one order and never wait for each other in a circle. */
const inLockOrder = (a: Waiting, b: Waiting): number => {
  const [[one = ''], [other = '']] = [a.subjects, b.subjects];
  return one < other ? -1 : 1;
};

/** `lanes`: statements at a time; one connection each. */
export function createGroupCommit(sql: Pick<Sql, 'unsafe'>, { lanes }: { lanes: number }): GroupCommit {
  let waiting: Waiting[] = [];
  let underWay = 0;

  /** The one who has waited longest, and others of its shape. */
  function take(): Waiting[] {
    const [first] = waiting as [Waiting];
    const group = [first];
    const subjects = new Set(first.subjects);
    const overlaps = (one: Waiting) => [...one.subjects].some((id) => subjects.has(id));
    for (const one of waiting) {
      if (group.length === MOST) break;
      if (one === first || one.shape !== first.shape || overlaps(one)) continue;
      group.push(one);
      for (const subject of one.subjects) subjects.add(subject);
    }
    const size = 2 ** Math.floor(Math.log2(group.length));
    const taken = new Set(group.slice(0, size));
    waiting = waiting.filter((one) => !taken.has(one));
    return [...taken].sort(inLockOrder);
  }

  async function write(group: Waiting[]): Promise<void> {
    const commits = group.map(({ parts }) => parts);
    try {
      const told = await run(sql, commits, group[0]?.shape);
      for (const [of, one] of group.entries()) one.resolve(told[of] ?? {});
    } catch (error) {
      const outage = isOutageOfAll(error);
      if (!outage && group.length > 1) {
        await Promise.all(group.map((one) => write([one])));
        return;
      }
      for (const one of outage ? [...group, ...waiting.splice(0)] : group) one.reject(conflictOf(error));
    }
  }

  function next(): void {
    while (underWay < lanes && waiting.length > 0) {
      underWay += 1;
      void write(take()).finally(() => {
        underWay -= 1;
        next();
      });
    }
  }

  return {
    commit: (parts, subjects) =>
      new Promise((resolve, reject) => {
        waiting.push({ parts, shape: shapeOf(parts), subjects, resolve, reject });
        next();
      }),
  };
}
