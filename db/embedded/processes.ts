/** What the operating system says about other processes; process ids are reused, so a bare pid is never trusted. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';

const hasProc = existsSync('/proc/self/stat');

const ps = (pid: number, columns: string): string | undefined => {
  try {
    return (
      execFileSync('/bin/ps', ['-o', columns, '-p', String(pid)], { encoding: 'utf8' }).trim() || undefined
    );
  } catch {
    return undefined;
  }
};

const proc = (pid: number, file: string): string | undefined => {
  try {
    return readFileSync(`/proc/${pid}/${file}`, 'utf8');
  } catch {
    return undefined;
  }
};

/** An opaque start time that, together with the pid, names one process for ever; undefined when it no longer runs. */
export function startTimeOf(pid: number): string | undefined {
  if (!hasProc) {
    const line = ps(pid, 'stat=,lstart=');
    return line?.startsWith('Z') ? undefined : line?.slice(line.indexOf(' ')).trim();
  }
  const stat = proc(pid, 'stat');
  // The command name may itself contain spaces and parentheses, so fields are counted from its last one: proc(5).
  const fields = stat?.slice(stat.lastIndexOf(')') + 2).split(' ');
  // A zombie nobody reaps (a container without an init) has ended, although signals still reach its pid.
  if (!fields || fields[0] === 'Z' || fields[0] === 'X') return undefined;
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()}:${fields[19]}`;
}

/** The command line with its arguments separated by spaces; undefined when the process does not run. */
export function commandLineOf(pid: number): string | undefined {
  return hasProc ? proc(pid, 'cmdline')?.replaceAll('\0', ' ') : ps(pid, 'command=');
}

/** Polls until `done` or until `timeoutMs` have passed; answers whether it was done in time. */
export async function until(done: () => boolean, timeoutMs: number, everyMs = 10): Promise<boolean> {
  const deadline = performance.now() + timeoutMs;
  while (!done()) {
    if (performance.now() > deadline) return false;
    await delay(everyMs);
  }
  return true;
}
