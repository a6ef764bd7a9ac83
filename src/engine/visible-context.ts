/**
 * The one filter between stored data and anything the console, its event stream or an inspector shows. An allow-list:
 * what is not named here, or does not look like an id, a verdict, a counter or a time, is hidden.
 */

import type { z } from 'zod';
import { hidden } from '../../machines/fields.ts';
import { registry } from '../../machines/index.ts';

export const HIDDEN = '•••';

/** Every member that a machine declares for its context or its events, unless it is marked as hidden. */
const MEMBERS = new Set(
  Object.values(registry).flatMap(({ context, events }) =>
    [context, ...Object.values(events).map(({ facts }) => facts)].flatMap(membersOf),
  ),
);

/** Names of the members of a schema, nested ones included. */
function membersOf(schema: z.core.$ZodType): string[] {
  const { def } = schema._zod;
  if (def.type === 'object')
    return Object.entries((def as z.core.$ZodObjectDef).shape).flatMap(([name, inner]) =>
      hidden.has(inner as z.ZodType) ? [] : [name, ...membersOf(inner)],
    );
  if (def.type === 'array') return membersOf((def as z.core.$ZodArrayDef).element);
  return 'innerType' in def ? membersOf(def.innerType as z.core.$ZodType) : [];
}

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i;
/** A word of the machines' own vocabulary: never digits alone, no spaces, no address or password characters. */
const WORD = /^(?=.*[a-z])[a-z][a-z0-9_.:*-]{0,47}$/i;
const HASH = /^[0-9a-f]{64}$/;

const text = (value: string): string => {
  if (value === '' || UUID.test(value) || WORD.test(value)) return value;
  return HASH.test(value) ? `${value.slice(0, 8)}…` : HIDDEN;
};

export type Shown = string | number | boolean | null | Shown[] | { [key: string]: Shown };

/** A value of an allowed member. */
function value(input: unknown): Shown {
  if (input === null || typeof input === 'number' || typeof input === 'boolean') return input;
  if (typeof input === 'string') return text(input);
  if (Array.isArray(input)) return input.slice(0, 50).map(value);
  return typeof input === 'object' && input !== null ? redact(input) : HIDDEN;
}

/** Keeps the shape, hides what is not allowed. */
export function redact(input: object): { [key: string]: Shown } {
  return Object.fromEntries(
    Object.entries(input).map(([key, inner]) => [text(key), MEMBERS.has(key) ? value(inner) : HIDDEN]),
  );
}

/** One word or id shown on its own: a request id, an event, a reason. */
export const word = (input: string | null): string | null => (input === null ? null : text(input));

export type Difference = { path: string; before: Shown | undefined; after: Shown | undefined };

/** What changed between two contexts, redacted, by dotted path. */
export function differences(before: object | null, after: object | null): Difference[] {
  const [a, b] = [flatten(before ? redact(before) : {}), flatten(after ? redact(after) : {})];
  return [...new Set([...a.keys(), ...b.keys()])]
    .filter((path) => JSON.stringify(a.get(path)) !== JSON.stringify(b.get(path)))
    .map((path) => ({ path, before: a.get(path), after: b.get(path) }));
}

function flatten(input: { [key: string]: Shown }, prefix = ''): Map<string, Shown> {
  const paths = new Map<string, Shown>();
  for (const [key, inner] of Object.entries(input)) {
    if (typeof inner === 'object' && inner !== null && !Array.isArray(inner)) {
      for (const [path, leaf] of flatten(inner, `${prefix}${key}.`)) paths.set(path, leaf);
    } else paths.set(prefix + key, inner);
  }
  return paths;
}

const EPOCH_MS = 1_400_000_000_000;

/** A shown value in one line; times are written as such. */
export function shownText(shown: Shown | undefined): string {
  if (shown === undefined) return '–';
  if (typeof shown === 'number' && shown > EPOCH_MS && shown < EPOCH_MS * 3) {
    return `${new Date(shown).toISOString().slice(0, 19).replace('T', ' ')} UTC`;
  }
  return typeof shown === 'string' ? shown || '""' : JSON.stringify(shown);
}
