/** Where everything goes: ELK places states, lines and labels. Used when pictures are generated, never at run time. */
import type { ElkExtendedEdge, ElkNode } from 'elkjs/lib/elk-api.js';
import type { GraphEdge, GraphNode, MachineGraph } from '../../machines/graph.ts';
import {
  boxAt,
  type EdgeLine,
  extent,
  type Layout,
  type Note,
  type Point,
  px,
  type StateBox,
  straighten,
  trim,
} from './geometry.ts';
import { labelRows, monoWidth, nameWidth, oneLine } from './label.ts';
import { backEdges, childrenInOrder } from './order.ts';

export type Direction = 'DOWN' | 'RIGHT';

export const LINE_HEIGHT = 14;
/** Baselines inside a state box, from its top. */
export const INSIDE = { name: 21, id: 36, padding: 12, notes: 12 };
const DOT = 12;
const MARGIN = 20;
const PAPER = 16;

const SPACING = {
  'elk.spacing.nodeNode': '28',
  'elk.spacing.edgeNode': '16',
  'elk.spacing.edgeEdge': '12',
  'elk.spacing.edgeLabel': '4',
  'elk.spacing.labelNode': '8',
  'elk.layered.spacing.nodeNodeBetweenLayers': '32',
  'elk.layered.spacing.edgeNodeBetweenLayers': '16',
  'elk.layered.spacing.edgeEdgeBetweenLayers': '12',
};
const OPTIONS = (direction: Direction) => ({
  'elk.algorithm': 'layered',
  'elk.direction': direction,
  'elk.hierarchyHandling': 'INCLUDE_CHILDREN',
  'elk.edgeRouting': 'ORTHOGONAL',
  'elk.layered.nodePlacement.strategy': 'NETWORK_SIMPLEX',
  'elk.json.edgeCoords': 'ROOT',
  'elk.json.shapeCoords': 'ROOT',
  'elk.padding': `[top=${PAPER},left=${PAPER},bottom=${PAPER},right=${PAPER}]`,
  ...SPACING,
});

const isStay = (e: GraphEdge): boolean => e.target === null || e.target === e.source;
/** The text of a state box and the room it needs. Transitions that stay are listed inside, as UML does. */
function stateBox(graph: MachineGraph, node: GraphNode, remarks: string[]): StateBox {
  const name = node.meta.label ?? node.key;
  const id = name.toLowerCase().replace(/\W+/g, '_') === node.key.toLowerCase() ? null : node.key;
  const stays = graph.edges.filter((e) => e.source === node.id && isStay(e));
  const notes = [
    ...remarks.map((text): Note => ({ text, edge: null })),
    ...stays.map((edge): Note => ({ text: `↻ ${oneLine(edge)}`, edge })),
  ];
  const text = monoWidth([id ?? '', ...notes.map((note) => note.text)]);
  const list = notes.length ? INSIDE.notes + notes.length * LINE_HEIGHT - 4 : 0;
  const width = Math.max(90, nameWidth(name), text) + 2 * INSIDE.padding;
  return {
    ...boxAt({ width, height: (id ? INSIDE.id : INSIDE.name) + INSIDE.padding + list }),
    node,
    name,
    id,
    notes,
  };
}

/** Lays a machine out; equal graphs give equal layouts. `remarks` are lines written inside a state, by its id. */
export async function layOut(
  graph: MachineGraph,
  { direction = 'DOWN', remarks = {} }: { direction?: Direction; remarks?: Record<string, string[]> } = {},
): Promise<Layout> {
  const boxes = new Map(graph.nodes.map((n) => [n.id, stateBox(graph, n, remarks[n.id] ?? [])]));
  const back = backEdges(graph);
  const bundles = new Map<string, GraphEdge[]>();
  for (const e of graph.edges) {
    const id = `${e.source}>${e.target}`;
    if (!isStay(e) && e.source !== '') bundles.set(id, [...(bundles.get(id) ?? []), e]);
  }
  const edges = [...bundles].map(([id, bundle]): ElkExtendedEdge => {
    const { key, source, target } = bundle[0]!;
    const rows = labelRows(bundle).map((r) => r.text);
    const label = { text: id, width: px(monoWidth(rows)), height: rows.length * LINE_HEIGHT };
    const ends = back.has(key) ? [target!, source] : [source, target!];
    return { id, sources: [ends[0]!], targets: [ends[1]!], ...(rows.length && { labels: [label] }) };
  });
  const dot = (of: string, to: string): ElkNode => {
    edges.push({ id: `dot>${of}`, sources: [`dot:${of}`], targets: [to] });
    return { id: `dot:${of}`, width: DOT, height: DOT };
  };
  const entered = new Set(graph.edges.map((e) => e.target));
  /** Many ways to end, side by side, would make the picture twice as wide: they are stacked in an unseen column. */
  const column = (region: string | null, ordered: ElkNode[]): ElkNode[] => {
    const ends = ordered.filter(({ id }) => boxes.get(id)?.node.kind === 'final');
    if (ends.length < 4 || ordered.every((n) => !n.children)) return ordered;
    for (const [i, end] of ends.slice(1).entries()) {
      edges.push({ id: `column:${end.id}`, sources: [ends[i]!.id], targets: [end.id] });
    }
    const stack = {
      id: `column:${region ?? ''}`,
      children: ends,
      layoutOptions: { ...SPACING, 'elk.padding': '[top=0,left=0,bottom=0,right=0]' },
    };
    return [...ordered.filter((n) => !ends.includes(n)), stack];
  };
  const children = (region: string | null): ElkNode[] =>
    column(
      region,
      childrenInOrder(graph, region).map((node) => {
        const { width, height } = boxes.get(node.id)!;
        if (node.initial === null) return { id: node.id, width, height };
        // A default entry nobody takes would only be a misleading arrow.
        const start = entered.has(node.id) ? [dot(node.id, node.initial)] : [];
        return {
          id: node.id,
          children: [...start, ...children(node.id)],
          layoutOptions: {
            ...SPACING,
            'elk.padding': `[top=${height + 8},left=${MARGIN},bottom=${MARGIN},right=${MARGIN}]`,
            'elk.nodeSize.constraints': 'MINIMUM_SIZE',
            'elk.nodeSize.minimum': `(${width},${height})`,
          },
        };
      }),
    );
  const top = [dot('', graph.initial), ...children(null)];
  const { default: Elk } = await import('elkjs/lib/elk.bundled.js');
  const elk = await new Elk.default().layout({
    id: '',
    layoutOptions: OPTIONS(direction),
    children: top,
    edges,
  });
  const reversed = new Set([...bundles].filter(([, b]) => back.has(b[0]!.key)).map(([id]) => id));
  return read(elk, boxes, bundles, reversed);
}

/** ELK's answer in our terms. */
function read(
  elk: ElkNode,
  boxes: Map<string, StateBox>,
  bundles: Map<string, GraphEdge[]>,
  reversed: Set<string>,
): Layout {
  const states: StateBox[] = [];
  const dots: Point[] = [];
  const visit = (node: ElkNode): void => {
    const place = boxAt(node);
    const box = boxes.get(node.id);
    if (box) states.push({ ...box, ...place });
    else if (node.id.startsWith('dot:')) dots.push({ x: place.x + DOT / 2, y: place.y + DOT / 2 });
    for (const child of node.children ?? []) visit(child);
  };
  visit(elk);
  const drawn = (elk.edges ?? []).filter((e) => !e.id.startsWith('column:'));
  const lines = drawn.map((e): EdgeLine => {
    const { startPoint, bendPoints = [], endPoint } = e.sections![0]!;
    const points = straighten([startPoint, ...bendPoints, endPoint]);
    const edges = bundles.get(e.id) ?? [];
    const label = e.labels?.[0];
    return {
      edges,
      points: reversed.has(e.id) ? points.reverse() : points,
      label: label ? { ...boxAt(label as Partial<Point>), rows: labelRows(edges) } : null,
    };
  });
  trim(states, lines, MARGIN);
  return { ...extent({ states, lines }, PAPER), states, dots, lines };
}
