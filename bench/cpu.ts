/** CPU time and memory of whole process trees, read from /proc. Linux only; elsewhere everything is 0. */
import { readdirSync, readFileSync } from 'node:fs';

/** USER_HZ, which every Linux of today fixes at 100. */
const TICK_MS = 10;

type Stat = { pid: number; parent: number; cpuMs: number; deadChildrenMs: number };

function statOf(pid: number): Stat | null {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'utf8');
    const f = text
      .slice(text.lastIndexOf(')') + 2)
      .split(' ')
      .map(Number);
    const ms = (a: number, b: number) => ((f[a] ?? 0) + (f[b] ?? 0)) * TICK_MS;
    return { pid, parent: f[1] ?? 0, cpuMs: ms(11, 12), deadChildrenMs: ms(13, 14) };
  } catch {
    return null;
  }
}

/** Milliseconds of CPU that the trees under these processes have used so far, ended children included. */
export function cpuMsOf(roots: (number | null | undefined)[]): number {
  let all: Stat[];
  try {
    all = readdirSync('/proc')
      .filter((n) => /^\d+$/.test(n))
      .map((n) => statOf(Number(n)))
      .filter((s) => s !== null);
  } catch {
    return 0;
  }
  const tree = new Set(roots.filter((pid) => typeof pid === 'number'));
  for (let grew = true; grew; ) {
    grew = false;
    for (const s of all) {
      if (tree.has(s.pid) || !tree.has(s.parent)) continue;
      tree.add(s.pid);
      grew = true;
    }
  }
  return all.filter((s) => tree.has(s.pid)).reduce((sum, s) => sum + s.cpuMs + s.deadChildrenMs, 0);
}

/** Resident memory of one process in MB. */
export function rssMbOf(pid: number): number {
  try {
    const kb = /^VmRSS:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1];
    return Math.round(Number(kb ?? 0) / 1024);
  } catch {
    return 0;
  }
}
