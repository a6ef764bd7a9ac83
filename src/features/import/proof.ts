/** Whether another system had proven a contact, as its export spells that. What is not understood is never taken for a proof. */
import { z } from 'zod';
import { systemClock } from '../../kernel/clock.ts';

const clock = systemClock();

const PROVEN = new Set(['true', '1', 't', 'yes', 'y']);
const UNPROVEN = new Set(['', 'false', 'no', '0', 'null']);

/** ISO 8601 and how Postgres, MySQL and SQLite print a time; without an offset it is read as UTC. */
const DATE =
  /^(\d{4})-(\d\d)-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:[.,]\d{1,9})?)?\s?(Z|UTC|[+-]\d\d(?::?\d\d)?)?)?$/i;

const MINUTE_MS = 60_000;
const DAY_MS = 1440 * MINUTE_MS;
/** The first instant a number can mean in seconds and not be a small count: 2001-09-09. */
const FIRST_SECONDS = 1e9;
const FIRST_MILLISECONDS = 1e12;

/** True: proven; false: not; undefined: the text says neither. `now` in milliseconds. */
export function readProof(value: unknown, now: number): boolean | undefined {
  if (value === null || value === undefined) return false;
  if (typeof value === 'boolean') return value;
  if (typeof value !== 'number' && typeof value !== 'string') return undefined;
  const text = String(value).trim().toLowerCase();
  if (PROVEN.has(text)) return true;
  if (UNPROVEN.has(text)) return false;
  const at = /^\d+(?:\.\d+)?$/.test(text) ? timestamp(Number(text)) : date(text);
  if (at === 'zero') return false;
  return at !== undefined && at <= now ? true : undefined;
}

/** Seconds or milliseconds since 1970. */
function timestamp(n: number): number | undefined {
  if (n >= FIRST_MILLISECONDS) return n;
  return n >= FIRST_SECONDS ? n * 1000 : undefined;
}

/** Milliseconds since 1970; `zero` for what databases print instead of no date at all. */
function date(text: string): number | 'zero' | undefined {
  const match = DATE.exec(text);
  if (!match) return undefined;
  const [year, month, day, hour, minute, second] = match.slice(1, 7).map((part) => Number(part ?? 0)) as [
    number,
    number,
    number,
    number,
    number,
    number,
  ];
  if (hour > 23 || minute > 59 || second > 60) return undefined;
  if ((year === 0 && month <= 1 && day <= 1) || (year === 1 && month === 1 && day === 1)) return 'zero';
  const midnight = Date.UTC(year, month - 1, day);
  // There is no 30 February: `Date` would take it for a day of March.
  if (!new Date(midnight).toISOString().startsWith(text.slice(0, 10))) return undefined;
  const at = midnight + ((hour * 60 + minute) * 60 + second) * 1000 - offsetMs(match[7]);
  // A local time near 1970 is the same zero, printed in a time zone.
  if (Math.abs(at) <= DAY_MS) return 'zero';
  return at > 0 ? at : undefined;
}

function offsetMs(zone: string | undefined): number {
  const match = /^([+-])(\d\d):?(\d\d)?$/.exec(zone ?? '');
  if (!match) return 0;
  return (match[1] === '-' ? -1 : 1) * (Number(match[2]) * 60 + Number(match[3] ?? 0)) * MINUTE_MS;
}

/** Refuses what says neither yes nor no, so that the whole line is unreadable. */
export const proofSchema = z
  .unknown()
  .transform((value, context): boolean => {
    const proven = readProof(value, clock.now());
    if (proven !== undefined) return proven;
    const message = 'says neither that the contact is proven nor that it is not';
    context.addIssue({ code: 'custom', message });
    return z.NEVER;
  })
  .default(false);
