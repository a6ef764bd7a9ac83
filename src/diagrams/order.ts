/** Which way a picture reads: children breadth-first from the initial state, edges that close a cycle told apart. */
import type { GraphEdge, GraphNode, MachineGraph } from '../../machines/graph.ts';

const parentOf = (graph: MachineGraph, id: string): string | null =>
  graph.nodes.find((n) => n.id === id)?.parent ?? null;

/** The state itself, then its ancestors, outermost last. */
const lineage = (graph: MachineGraph, id: string): string[] => {
  const parent = parentOf(graph, id);
  return parent === null ? [id] : [id, ...lineage(graph, parent)];
};

/** The edge as seen between siblings: the two children of the innermost region that holds both its ends. */
function siblings(
  graph: MachineGraph,
  e: GraphEdge,
): { region: string | null; from: string; to: string } | null {
  if (e.source === '' || e.target === null) return null;
  const sources = lineage(graph, e.source);
  for (const to of lineage(graph, e.target)) {
    const region = parentOf(graph, to);
    const from = sources.find((s) => parentOf(graph, s) === region);
    if (from !== undefined && from !== to) return { region, from, to };
    if (from !== undefined) return null;
  }
  return null;
}

type Region = { children: GraphNode[]; next: (id: string) => string[]; initial: string };

function regionOf(graph: MachineGraph, region: string | null): Region {
  const pairs = graph.edges.map((e) => siblings(graph, e)).filter((p) => p?.region === region);
  const initial = region === null ? graph.initial : graph.nodes.find((n) => n.id === region)?.initial;
  return {
    children: graph.nodes.filter((n) => n.parent === region),
    next: (id) => [...new Set(pairs.filter((p) => p?.from === id).map((p) => p!.to))],
    initial: initial ?? '',
  };
}

/** Children of a region, breadth-first from its initial state; those it never reaches keep their order at the end. */
export function childrenInOrder(graph: MachineGraph, region: string | null): GraphNode[] {
  const { children, next, initial } = regionOf(graph, region);
  const seen = new Set<string>();
  for (const root of [initial, ...children.map((c) => c.id)]) {
    const queue = [root];
    for (let id = queue.shift(); id !== undefined; id = queue.shift()) {
      if (seen.has(id)) continue;
      seen.add(id);
      queue.push(...next(id));
    }
  }
  const rank = [...seen];
  return children.sort((a, b) => rank.indexOf(a.id) - rank.indexOf(b.id));
}

/** Keys of the edges that lead back to a state on the way to their source; without them the graph has no cycle. */
export function backEdges(graph: MachineGraph): Set<string> {
  const back = new Set<string>();
  for (const region of [null, ...graph.nodes.filter((n) => n.initial !== null).map((n) => n.id)]) {
    const { next, children, initial } = regionOf(graph, region);
    const done = new Set<string>();
    const walk = (id: string, path: string[]): void => {
      if (done.has(id)) return;
      for (const to of next(id)) {
        if (to === id || path.includes(to)) back.add(`${id}>${to}`);
        else walk(to, [...path, id]);
      }
      done.add(id);
    };
    for (const root of [initial, ...children.map((c) => c.id)]) walk(root, []);
  }
  return new Set(
    graph.edges
      .filter((e) => {
        const pair = siblings(graph, e);
        return pair !== null && back.has(`${pair.from}>${pair.to}`);
      })
      .map((e) => e.key),
  );
}
