/** Draws a layout as SVG: the same shapes for a file (with its style) and for a page (classes only). It places nothing. */
import type { GraphEdge, GraphNode, MachineGraph } from '../../machines/graph.ts';
import type { Box, EdgeLine, Layout, Note, Point, StateBox } from './geometry.ts';
import { eventName, type Row } from './label.ts';
import { INSIDE, LINE_HEIGHT } from './layout.ts';
import { themeCss } from './theme.ts';

const BEND = 7;
const HEAD = 7;

const esc = (text: string): string => text.replace(/[&<>"]/g, (c) => `&#${c.charCodeAt(0)};`);
const n = (value: number): string => String(Math.round(value * 10) / 10);

/** The point `by` px from `from` towards `to`. */
function towards(from: Point, to: Point, by: number): Point {
  const length = Math.hypot(to.x - from.x, to.y - from.y) || 1;
  return { x: from.x + ((to.x - from.x) / length) * by, y: from.y + ((to.y - from.y) / length) * by };
}

/** A right-angled route with rounded bends, ending where the arrowhead begins. */
function path(points: Point[]): string {
  const line = [...points];
  line[line.length - 1] = towards(line.at(-1)!, line.at(-2)!, HEAD - 1);
  const steps = line.slice(1, -1).map((bend, i) => {
    const [before, after] = [line[i]!, line[i + 2]!];
    const room = Math.min(
      BEND,
      Math.hypot(bend.x - before.x, bend.y - before.y) / 2,
      Math.hypot(bend.x - after.x, bend.y - after.y) / 2,
    );
    const [a, b] = [towards(bend, before, room), towards(bend, after, room)];
    return `L${n(a.x)} ${n(a.y)}Q${n(bend.x)} ${n(bend.y)} ${n(b.x)} ${n(b.y)}`;
  });
  const end = line.at(-1)!;
  return `M${n(line[0]!.x)} ${n(line[0]!.y)}${steps.join('')}L${n(end.x)} ${n(end.y)}`;
}

/** Drawn by hand instead of a marker: it needs no id on a shared page and takes the colour its edge is given. */
function head(points: Point[]): string {
  const tip = points.at(-1)!;
  const base = towards(tip, points.at(-2)!, HEAD);
  const [dx, dy] = [(tip.x - base.x) / HEAD, (tip.y - base.y) / HEAD];
  const wing = (side: number) => `${n(base.x - dy * side * 3.5)} ${n(base.y + dx * side * 3.5)}`;
  return `<path class="head" d="M${n(tip.x)} ${n(tip.y)}L${wing(1)}L${wing(-1)}Z"/>`;
}

const route = (points: Point[]): string => `<path class="line" d="${path(points)}"/>${head(points)}`;

/** One sentence for whoever hovers or listens. */
function describe(graph: MachineGraph, e: GraphEdge): string {
  const name = (id: string) => graph.nodes.find((s) => s.id === id)?.meta.label ?? id;
  const does = e.actions.filter((a) => a !== 'assign');
  return [
    `${name(e.source)} → ${name(e.target ?? e.source)}`,
    e.event === '' ? 'at once' : `on ${eventName(e.event)}`,
    e.guard === null ? '' : `if ${e.guard}`,
    does.length ? `doing ${does.join(', ')}` : '',
  ]
    .filter(Boolean)
    .join(', ');
}

/** Whether the line a label belongs to runs at its right, so that the text leans on it. */
function leansRight({ points, label }: EdgeLine): boolean {
  const { x, y, width, height } = label as Box;
  const beside = points.slice(1).flatMap((p, i) => {
    const q = points[i]!;
    const upright = Math.abs(p.x - q.x) < 1 && Math.min(p.y, q.y) < y + height && Math.max(p.y, q.y) > y;
    return upright ? [p.x] : [];
  });
  const distance = (edge: number) => Math.min(...beside.map((at) => Math.abs(at - edge)));
  return beside.length > 0 && distance(x + width) < distance(x);
}

/** One group per transition, also where several share a line: any of them can be highlighted. */
function edge(graph: MachineGraph, line: EdgeLine): string {
  const { edges, points, label } = line;
  if (edges.length === 0) return `<g class="entry">${route(points)}</g>`;
  const right = label !== null && leansRight(line);
  const text = ({ text, kind }: Row, i: number): string => {
    const [x, anchor] = right ? [label!.x + label!.width - 3, ' text-anchor="end"'] : [label!.x + 3, ''];
    return `<text class="mono ${kind}" x="${n(x)}" y="${n(label!.y + 10.5 + i * LINE_HEIGHT)}"${anchor}>${esc(text)}</text>`;
  };
  const rows = (label?.rows ?? []).map((row, i) => ({ row, svg: text(row, i) }));
  return edges
    .map((e, i) => {
      const own = rows.filter(({ row }) => row.edge === e).map(({ svg }) => svg);
      return `<g class="edge${i > 0 ? ' shared' : ''}" data-edge="${esc(e.key)}"><title>${esc(describe(graph, e))}</title>${route(points)}${own.join('')}</g>`;
    })
    .join('\n');
}

/** A state is a stage when an eventless edge always takes it further, so that no flow rests there. */
function classes(graph: MachineGraph, node: GraphNode): string {
  const own = graph.edges.filter((e) => e.source === node.id);
  const stage = own.some((e) => e.event === '') && !own.some((e) => e.event !== '');
  const tier = tierOf(graph, node);
  return ['state', node.kind, stage ? 'stage' : '', tier && `tier-${tier}`, ...node.tags]
    .filter(Boolean)
    .join(' ');
}

const tierOf = (graph: MachineGraph, node: GraphNode): string | undefined =>
  node.meta.tier ?? graph.nodes.filter((p) => p.id === node.parent).map((p) => tierOf(graph, p))[0];

/** The text of a state. A region's is drawn after the lines, which may run behind it. */
function heading(graph: MachineGraph, { node, x, y, width, name, id, notes }: StateBox): string {
  const [left, anchor] = node.initial !== null ? [x + 14, ''] : [x + width / 2, ' text-anchor="middle"'];
  const top = y + (id ? INSIDE.id : INSIDE.name) + INSIDE.notes;
  const line = ({ text, edge: e }: Note, i: number): string => {
    const place = `x="${n(x + INSIDE.padding)}" y="${n(top + 9 + i * LINE_HEIGHT)}"`;
    if (!e) return `<text class="mono note" ${place}>${esc(text)}</text>`;
    const title = `<title>${esc(describe(graph, e))}</title>`;
    return `<text class="mono stay" data-edge="${esc(e.key)}" ${place}>${title}${esc(text)}</text>`;
  };
  return [
    `<text class="name" x="${n(left)}" y="${n(y + INSIDE.name)}"${anchor}>${esc(name)}</text>`,
    id ? `<text class="mono id" x="${n(left)}" y="${n(y + INSIDE.id)}"${anchor}>${esc(id)}</text>` : '',
    notes.length ? `<path class="rule" d="M${n(x + 8)} ${n(top - 5)}H${n(x + width - 8)}"/>` : '',
    ...notes.map(line),
  ].join('');
}

function state(graph: MachineGraph, box: StateBox): string {
  const { node, x, y, width, height, name } = box;
  const rect = (inset: number, cls: string) =>
    `<rect${cls} x="${n(x + inset)}" y="${n(y + inset)}" width="${n(width - 2 * inset)}" height="${n(height - 2 * inset)}" rx="${9 - inset}"/>`;
  return [
    `<g class="${esc(classes(graph, node))}" data-state="${esc(node.id)}"><title>${esc(node.description ?? name)}</title>`,
    rect(0, ''),
    node.kind === 'final' ? rect(3, ' class="inner"') : '',
    node.initial === null ? heading(graph, box) : '',
    '</g>',
  ].join('');
}

/** The picture; `style` puts the rules of a theme inside, without it a page brings its own. */
export function draw(graph: MachineGraph, layout: Layout, title: string, style?: 'light' | 'dark'): string {
  const { width, height } = layout;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" class="machine" data-machine="${esc(graph.id)}" role="img" viewBox="0 0 ${width} ${height}" width="${width}" height="${height}">`,
    `<title>${esc(title)}</title>`,
    style
      ? `<style>${themeCss(style)}</style><rect class="paper" width="${width}" height="${height}" rx="6"/>`
      : '',
    ...layout.states.map((box) => state(graph, box)),
    ...layout.dots.map((d) => `<circle class="dot" cx="${n(d.x)}" cy="${n(d.y)}" r="5"/>`),
    ...layout.lines.map((line) => edge(graph, line)),
    ...layout.states
      .filter(({ node }) => node.initial !== null)
      .map((box) => `<g class="heading">${heading(graph, box)}</g>`),
    '</svg>',
    '',
  ]
    .filter((line, i, all) => line !== '' || i === all.length - 1)
    .join('\n');
}
