/** The one-look picture: a machine folded to its tiers, with every edge that leads from one tier into another. */
import type { MachineGraph } from '../../machines/graph.ts';

export type Overview = { graph: MachineGraph; remarks: Record<string, string[]> };

/** Null when the machine has no top-level states that are tiers. Edges keep their keys, so a live page can mark them. */
export function overviewOf(graph: MachineGraph): Overview | null {
  const tiers = graph.nodes.filter((n) => n.parent === null && n.meta.tier === n.key);
  const tierOf = (id: string | null) => tiers.find((t) => id === t.id || id?.startsWith(`${t.id}.`));
  const labelOf = (id: string) => graph.nodes.find((n) => n.id === id)?.meta.label ?? id;
  if (tiers.length < 2) return null;
  const edges = graph.edges.flatMap((e) => {
    const [from, to] = [tierOf(e.source), tierOf(e.target)];
    if (!from || !to || from === to) return [];
    // An eventless edge has no name of its own; the gate it leaves has one.
    const event = e.event === '' ? labelOf(e.source) : e.event;
    return [{ ...e, source: from.id, target: to.id, event }];
  });
  const milestones = graph.nodes
    .filter((n) => n.meta.milestone !== undefined && !tiers.includes(n))
    .sort((a, b) => a.meta.milestone! - b.meta.milestone!);
  return {
    graph: {
      id: 'overview',
      version: graph.version,
      initial: tiers[0]!.id,
      nodes: tiers.map((t) => ({ ...t, kind: 'atomic', initial: null, meta: { ...t.meta, label: t.key } })),
      edges,
    },
    remarks: Object.fromEntries(
      tiers.map((t) => [t.id, milestones.filter((m) => tierOf(m.id) === t).map((m) => labelOf(m.id))]),
    ),
  };
}
