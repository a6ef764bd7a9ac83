/** What stands beside a line or inside a state, and how much room it takes. */
import type { GraphEdge } from '../../machines/graph.ts';

/** A monospaced 10.5 px character is 6.3 px wide in every common font. */
const MONO = 6.3;
const WRAP = 26;

/** One line of a label and the transition it belongs to. */
export type Row = { edge: GraphEdge; text: string; kind: 'event' | 'guard' };

export const monoWidth = (lines: string[]): number => Math.max(0, ...lines.map((l) => l.length)) * MONO + 6;

/** Generous for a bold 13 px sans-serif: capitals are the widest. */
export const nameWidth = (name: string): number =>
  [...name].reduce((sum, c) => sum + (/[A-Z_mw]/.test(c) ? 10.4 : 7.9), 0);

export const eventName = (event: string): string => (event.startsWith('xstate.done.state.') ? 'done' : event);

/** `[guard]`; an unguarded transition after guarded ones is what happens otherwise. */
export const guardText = ({ guard, index }: GraphEdge): string =>
  guard !== null ? `[${guard}]` : index > 0 ? '[else]' : '';

/** EVENT [guard] on one line. */
export const oneLine = (e: GraphEdge): string => [eventName(e.event), guardText(e)].filter(Boolean).join(' ');

/** Breaks a composed guard before its operators when it is long. */
const wrap = (text: string): string[] =>
  text.length <= WRAP ? [text] : text.split(/ (?=and |or )/).map((part, i) => (i === 0 ? part : ` ${part}`));

/** The label of transitions that share a line: each event once, its guards below it. */
export function labelRows(edges: GraphEdge[]): Row[] {
  return edges.flatMap((edge, i) => {
    const event = edge.event === edges[i - 1]?.event ? '' : eventName(edge.event);
    const guard = guardText(edge);
    return [
      ...(event ? [{ edge, text: event, kind: 'event' as const }] : []),
      ...(guard ? wrap(guard).map((text) => ({ edge, text, kind: 'guard' as const })) : []),
    ];
  });
}
