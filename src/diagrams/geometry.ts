/** Shapes and the small repairs ELK's coordinates need: upright lines, no needless jogs, no slack below a region. */
import type { GraphEdge, GraphNode } from '../../machines/graph.ts';
import type { Row } from './label.ts';

export type Point = { x: number; y: number };
export type Box = Point & { width: number; height: number };
/** A line inside a state: a transition that stays there, or a remark. */
export type Note = { text: string; edge: GraphEdge | null };
export type StateBox = Box & { node: GraphNode; name: string; id: string | null; notes: Note[] };
/** One drawn line; transitions that share source and target share it. The entry into an initial state has none. */
export type EdgeLine = { edges: GraphEdge[]; points: Point[]; label: (Box & { rows: Row[] }) | null };
export type Layout = { width: number; height: number; states: StateBox[]; dots: Point[]; lines: EdgeLine[] };

/** Tenths of a pixel: enough for the eye, and equal on every machine. */
export const px = (n: number): number => Math.round(n * 10) / 10;

export const boxAt = ({ x = 0, y = 0, width = 0, height = 0 }: Partial<Box>): Box => ({
  x: px(x),
  y: px(y),
  width: px(width),
  height: px(height),
});

const JOG = 6;

/** Across nested regions a line can be off by a fraction, or step aside by a few pixels just before a state. */
export function straighten(route: Point[]): Point[] {
  const points = route.map(({ x, y }) => ({ x: px(x), y: px(y) }));
  for (const [i, p] of points.slice(1).entries()) {
    const before = points[i]!;
    if (Math.abs(p.x - before.x) < 2) p.x = before.x;
    if (Math.abs(p.y - before.y) < 2) p.y = before.y;
  }
  const slide = (end: Point, bend: Point, next: Point | undefined): void => {
    if (next && bend.x === end.x && bend.y === next.y && Math.abs(next.x - end.x) <= JOG) {
      end.x = next.x;
      bend.x = next.x;
    }
  };
  if (points.length > 3) slide(points[0]!, points[1]!, points[2]);
  if (points.length > 3) slide(points.at(-1)!, points.at(-2)!, points.at(-3));
  return points.filter((p, i) => i === 0 || p.x !== points[i - 1]!.x || p.y !== points[i - 1]!.y);
}

/** Shortens regions that ELK left room in, innermost first; nothing moves. */
export function trim(states: StateBox[], lines: EdgeLine[], margin: number): void {
  for (const region of [...states].reverse().filter((s) => s.node.initial !== null)) {
    const bottom = region.y + region.height;
    const inside = (p: Point) =>
      p.x > region.x && p.x < region.x + region.width && p.y > region.y && p.y <= bottom;
    const crossed = lines.some(({ points }) =>
      points.some((p, i) => {
        const q = points[i + 1];
        return (
          q !== undefined &&
          Math.min(p.y, q.y) < bottom &&
          Math.max(p.y, q.y) >= bottom &&
          p.x >= region.x &&
          p.x <= region.x + region.width
        );
      }),
    );
    if (crossed) continue;
    const content = [
      ...states.filter((s) => s.node.parent === region.node.id).map((s) => s.y + s.height),
      ...lines.flatMap((l) => l.points.filter(inside).map((p) => p.y)),
      ...lines.flatMap((l) => (l.label && inside(l.label) ? [l.label.y + l.label.height] : [])),
    ];
    region.height = px(Math.min(region.height, Math.max(...content) + margin - region.y));
  }
}

/** The size of the paper that holds everything. */
export function extent(
  { states, lines }: Pick<Layout, 'states' | 'lines'>,
  margin: number,
): { width: number; height: number } {
  const boxes: Box[] = [
    ...states,
    ...lines.flatMap((l) => [
      ...(l.label ? [l.label] : []),
      ...l.points.map((p) => ({ ...p, width: 0, height: 0 })),
    ]),
  ];
  return {
    width: Math.ceil(Math.max(...boxes.map((b) => b.x + b.width)) + margin),
    height: Math.ceil(Math.max(...boxes.map((b) => b.y + b.height)) + margin),
  };
}
