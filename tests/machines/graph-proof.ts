/** Questions about every path of a machine, answered on its graph. Guards count as possibly true, so a "no" is a proof. */
import type { GraphEdge, MachineGraph } from '../../machines/graph.ts';

type Without = { without?: (edge: GraphEdge) => boolean };

/** The state, its ancestors, and the machine itself (''). */
function lineage(graph: MachineGraph, id: string): string[] {
  const parent = graph.nodes.find((n) => n.id === id)?.parent ?? null;
  return parent === null ? [id, ''] : [id, ...lineage(graph, parent)];
}

/** The leaves entered by default when `id` is entered. */
function leaves(graph: MachineGraph, id: string): string[] {
  const node = graph.nodes.find((n) => n.id === id);
  if (!node) throw new Error(`${graph.id} has no state '${id}'`);
  if (node.initial !== null) return leaves(graph, node.initial);
  if (node.kind !== 'parallel') return [id];
  return graph.nodes.filter((n) => n.parent === id).flatMap((n) => leaves(graph, n.id));
}

/** Every state that can become active once `from` is entered, ancestors included, using only the edges left. */
export function reachable(
  graph: MachineGraph,
  from: string = graph.initial,
  { without }: Without = {},
): Set<string> {
  const active = new Set<string>();
  const queue = leaves(graph, from);
  for (let leaf = queue.pop(); leaf !== undefined; leaf = queue.pop()) {
    if (active.has(leaf)) continue;
    const chain = lineage(graph, leaf);
    for (const id of chain) active.add(id);
    for (const e of graph.edges) {
      if (e.target !== null && chain.includes(e.source) && !without?.(e))
        queue.push(...leaves(graph, e.target));
    }
  }
  active.delete('');
  return active;
}

/** True when every path from `from` to `target` takes an edge matching `gate`, and there is such a path. */
export const dominates = (
  graph: MachineGraph,
  from: string,
  gate: (edge: GraphEdge) => boolean,
  target: string,
): boolean => reachable(graph, from).has(target) && !reachable(graph, from, { without: gate }).has(target);

/** How many ways lead from `from` to `target` without resting twice in the same state; parallel edges count apart. */
export function simplePathCount(
  graph: MachineGraph,
  from: string,
  target: string,
  { without }: Without = {},
): number {
  const walk = (leaf: string, seen: ReadonlySet<string>): number => {
    const chain = lineage(graph, leaf);
    if (chain.includes(target)) return 1;
    let count = 0;
    for (const e of graph.edges) {
      if (e.target === null || !chain.includes(e.source) || without?.(e)) continue;
      for (const next of leaves(graph, e.target)) {
        if (!seen.has(next)) count += walk(next, new Set([...seen, next]));
      }
    }
    return count;
  };
  return leaves(graph, from).reduce((sum, leaf) => sum + walk(leaf, new Set([leaf])), 0);
}
