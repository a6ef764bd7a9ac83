/** Stored snapshot ⇄ machine: version check, upgrade, validation. A snapshot that does not parse never reaches a machine. */
import { isDeepStrictEqual } from 'node:util';
import type { AnyMachineSnapshot } from 'xstate';
import { z } from 'zod';
import type { FlowRow } from '../../db/commit.ts';
import type { Definition } from '../../machines/index.ts';
import type { StoredSnapshot } from '../../machines/module.ts';

/** A flow as everything above the engine sees it. */
export type FlowView = {
  id: string;
  machine: string;
  version: number;
  /** Dotted path of the resting state. */
  state: string;
  done: boolean;
  tags: Set<string>;
  tier: string | null;
  context: Record<string, unknown>;
  accountId: string | null;
  contactId: string | null;
  /** For machines that serve several ends. */
  purpose: string | null;
  dueAt: number | null;
  stateEnteredAt: Date;
  tokenGeneration: number | null;
  tokenExpiresAt: Date | null;
  snapshot: AnyMachineSnapshot;
};

const storedSchema = z.strictObject({
  value: z.unknown(),
  context: z.record(z.string(), z.unknown()),
  status: z.enum(['active', 'done']),
});

type Restored = { ok: true; snapshot: AnyMachineSnapshot } | { ok: false; newer: boolean; error: unknown };

/** Lifts an older snapshot to the current version, checks its context, and revives it. Writes nothing. */
export function restore(definition: Definition, version: number, stored: unknown): Restored {
  if (version > definition.version) {
    return {
      ok: false,
      newer: true,
      error: new Error(`snapshot version ${version} is newer than this build`),
    };
  }
  try {
    let snapshot: StoredSnapshot = storedSchema.parse(stored);
    for (let v = version; v < definition.version; v++) {
      const upgrade = definition.upgrades[v];
      if (!upgrade) throw new Error(`no upgrade from version ${v}`);
      snapshot = upgrade(snapshot);
    }
    const context = definition.context.parse(snapshot.context);
    const revived = definition.machine.resolveState({
      value: snapshot.value as never,
      context: context as never,
      status: snapshot.status as never,
    });
    mustRest(revived as AnyMachineSnapshot, snapshot);
    return { ok: true, snapshot: revived as AnyMachineSnapshot };
  } catch (error) {
    return { ok: false, newer: false, error };
  }
}

/** XState fills in defaults and believes any status: neither may decide where a person stands. */
function mustRest(revived: AnyMachineSnapshot, { value, status }: StoredSnapshot): void {
  if (!isDeepStrictEqual(revived.value, value)) throw new Error('the stored state is not a whole one');
  const { path, type, always } = leafOf(revived);
  if (revived._nodes.length !== path.length + 1) throw new Error('the stored state is more than one');
  if (always?.some((t) => t.guard === undefined)) throw new Error(`nothing rests in ${path.join('.')}`);
  const ended = type === 'final' && path.length === 1;
  if (ended !== (status === 'done')) throw new Error(`status ${status} in ${path.join('.')}`);
}

type Nodes = { path: string[]; type: string; always?: { guard?: unknown }[]; meta?: { tier?: string } }[];

const purposeOf = ({ purpose, audience }: Record<string, unknown>): string | null =>
  typeof purpose !== 'string' ? null : typeof audience === 'string' ? `${purpose}:${audience}` : purpose;

/** The deepest active state; machines here have no parallel regions. */
const leafOf = (snapshot: AnyMachineSnapshot) =>
  (snapshot._nodes as unknown as Nodes).reduce((a, b) => (b.path.length >= a.path.length ? b : a));

export function viewOf(
  definition: Definition,
  row: Pick<FlowRow, 'id' | 'version' | 'stateEnteredAt' | 'tokenGeneration' | 'tokenExpiresAt'>,
  snapshot: AnyMachineSnapshot,
): FlowView {
  const leaf = leafOf(snapshot);
  const context = snapshot.context as Record<string, unknown> & { dueAt: number | null };
  const subject = context.subject as { accountId: string } | null | undefined;
  return {
    id: row.id,
    machine: definition.id,
    version: row.version,
    state: leaf.path.join('.'),
    done: leaf.type === 'final',
    tags: snapshot.tags as Set<string>,
    tier: leaf.meta?.tier ?? null,
    context,
    accountId: (context.accountId as string | null | undefined) ?? subject?.accountId ?? null,
    contactId: (context.contactId as string | null | undefined) || null,
    purpose: purposeOf(context),
    dueAt: context.dueAt,
    stateEnteredAt: row.stateEnteredAt,
    tokenGeneration: row.tokenGeneration ?? null,
    tokenExpiresAt: row.tokenExpiresAt ?? null,
    snapshot,
  };
}
