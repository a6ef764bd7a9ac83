/** Pictures stay legible whatever a machine grows into: geometry is checked, not pixels. */
import { describe, expect, test } from 'vitest';
import { toGraph } from '../../machines/graph.ts';
import { registry } from '../../machines/index.ts';
import type { Box, Layout, Point } from '../../src/diagrams/geometry.ts';
import { layOut } from '../../src/diagrams/layout.ts';
import { backEdges, childrenInOrder } from '../../src/diagrams/order.ts';
import { overviewOf } from '../../src/diagrams/overview.ts';
import { sampleMachine } from './sample-machine.ts';

const overlaps = (a: Box, b: Box): boolean =>
  a.x < b.x + b.width && b.x < a.x + a.width && a.y < b.y + b.height && b.y < a.y + a.height;
const within = (a: Box, b: Box): boolean =>
  a.x >= b.x && a.y >= b.y && a.x + a.width <= b.x + b.width && a.y + a.height <= b.y + b.height;
/** A horizontal or vertical stretch of line as a box. */
const stretch = (p: Point, q: Point): Box => ({
  x: Math.min(p.x, q.x),
  y: Math.min(p.y, q.y),
  width: Math.abs(p.x - q.x),
  height: Math.abs(p.y - q.y),
});
const labelsOf = ({ lines }: Layout) => lines.flatMap((l) => (l.label ? [{ ...l.label, line: l }] : []));
const named = (label: { line: Layout['lines'][number] }) => label.line.edges.map((e) => e.key).join(' ');

const graphs = [sampleMachine, ...Object.values(registry).map((d) => d.machine)].map(toGraph);
const pictures = await Promise.all([
  ...graphs.map(async (graph) => ({ name: graph.id, graph, layout: await layOut(graph) })),
  ...graphs.flatMap((graph) => {
    const overview = overviewOf(graph);
    const laid = overview && layOut(overview.graph, { direction: 'RIGHT', remarks: overview.remarks });
    return overview && laid
      ? [laid.then((layout) => ({ name: `${graph.id} tiers`, graph: overview.graph, layout }))]
      : [];
  }),
]);

describe.each(pictures)('the picture of $name', ({ graph, layout }) => {
  const labels = labelsOf(layout);

  test('has a box for every state and a line for every transition that moves', () => {
    expect(layout.states.map((s) => s.node.id).sort()).toEqual(graph.nodes.map((n) => n.id).sort());
    const drawn = layout.lines.flatMap((l) => l.edges.map((e) => e.key));
    const inside = layout.states.flatMap((s) => s.notes.flatMap((note) => note.edge?.key ?? []));
    expect([...drawn, ...inside].sort()).toEqual(graph.edges.map((e) => e.key).sort());
    expect(labels.length).toBeGreaterThan(0);
  });

  test('has no two overlapping labels', () => {
    const clashes = labels.flatMap((a, i) =>
      labels
        .slice(i + 1)
        .filter((b) => overlaps(a, b))
        .map((b) => `${named(a)} / ${named(b)}`),
    );
    expect(clashes).toEqual([]);
  });

  test('has no label on a state, across a border or cut off', () => {
    const clashes = labels.flatMap((label) =>
      layout.states
        .filter((s) => overlaps(label, s) && (s.node.initial === null || !within(label, s)))
        .map((s) => `${named(label)} / ${s.node.id}`),
    );
    expect(clashes).toEqual([]);
    const paper = { x: 0, y: 0, width: layout.width, height: layout.height };
    for (const box of [...labels, ...layout.states]) expect(within(box, paper)).toBe(true);
  });

  test('has no line through a label or through a state it does not touch', () => {
    const clashes = layout.lines.flatMap((line) =>
      line.points.slice(1).flatMap((p, i) => {
        const part = stretch(line.points[i]!, p);
        const ends = line.edges.flatMap((e) => [e.source, e.target]);
        return [
          ...labels.filter((l) => overlaps(part, l)).map((l) => `through label ${named(l)}`),
          ...layout.states
            .filter((s) => s.node.initial === null && !ends.includes(s.node.id) && line.edges.length > 0)
            .filter((s) => overlaps(part, s))
            .map((s) => `${line.edges[0]!.key} through ${s.node.id}`),
        ];
      }),
    );
    expect(clashes).toEqual([]);
  });

  test('has states apart from each other, and inside the state they belong to', () => {
    for (const [i, a] of layout.states.entries()) {
      for (const b of layout.states.slice(i + 1)) {
        const nested = b.node.id.startsWith(`${a.node.id}.`);
        expect([a.node.id, b.node.id, nested ? within(b, a) : !overlaps(a, b)]).toEqual([
          a.node.id,
          b.node.id,
          true,
        ]);
      }
    }
  });

  test('draws only upright and level lines, from the border of the source to that of the target', () => {
    for (const { points, edges } of layout.lines) {
      for (const [i, p] of points.slice(1).entries()) {
        expect(p.x === points[i]!.x || p.y === points[i]!.y).toBe(true);
      }
      if (edges.length === 0) continue;
      for (const [id, p] of [
        [edges[0]!.source, points[0]!],
        [edges[0]!.target!, points.at(-1)!],
      ] as const) {
        const s = layout.states.find(({ node }) => node.id === id)!;
        const off = Math.min(
          ...[p.x - s.x, s.x + s.width - p.x, p.y - s.y, s.y + s.height - p.y].map(Math.abs),
        );
        expect([edges[0]!.key, off < 1.5]).toEqual([edges[0]!.key, true]);
      }
    }
  });

  test('reads from the start: the initial state stands above or left of every other', () => {
    const first = layout.states.find((s) => s.node.id === graph.initial)!;
    const later = layout.states.filter((s) => s.node.parent === null && s !== first);
    for (const s of later) expect(s.y >= first.y + first.height || s.x >= first.x + first.width).toBe(true);
  });
});

test('children come breadth-first from the initial state and only cycle-closing edges count as back edges', () => {
  const graph = toGraph(sampleMachine);
  expect(childrenInOrder(graph, null).map((n) => n.id)).toEqual([
    ...['idle', 's1', 'blocked', 's2', 's3', 'challenge', 's4', 's5', 'LIMITED', 'FULL'],
  ]);
  expect([...backEdges(graph)]).toEqual([]);
  const edges = graph.edges.map((e) => (e.key === 's4||0' ? { ...e, target: 's2' } : e));
  expect([...backEdges({ ...graph, edges })]).toEqual(['s4||0']);
});
