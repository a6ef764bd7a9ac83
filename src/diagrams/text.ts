/** A machine in words: the transition table reviewers diff, the list of states, and Mermaid for readers without images. */
import type { GraphEdge, GraphNode, MachineGraph } from '../../machines/graph.ts';
import { eventName, guardText } from './label.ts';

const row = (cells: string[]): string => `| ${cells.map((c) => c.replaceAll('|', '\\|')).join(' | ')} |`;
const table = (head: string[], rows: string[][]): string =>
  [row(head), row(head.map(() => '---')), ...rows.map(row)].join('\n');
const code = (text: string): string => (text === '' ? '' : `\`${text}\``);

/** Every transition, and what entering a state does, in document order. */
export function transitionTable(graph: MachineGraph): string {
  const entering = ({ id, entry }: GraphNode): string[] => [
    code(id),
    '*entry*',
    '',
    '',
    entry.map(code).join(', '),
  ];
  const taking = (e: GraphEdge): string[] => [
    code(e.source || '(any)'),
    e.event === '' ? '*at once*' : code(eventName(e.event)),
    e.guard === null ? guardText(e).replace('[else]', '*else*') : code(e.guard),
    e.target === null || e.target === e.source ? '*stays*' : code(e.target),
    e.actions.map(code).join(', '),
  ];
  const rows = ['', ...graph.nodes.map((n) => n.id)].flatMap((id) => {
    const node = graph.nodes.find((n) => n.id === id);
    return [
      ...(node?.entry.length ? [entering(node)] : []),
      ...graph.edges.filter((e) => e.source === id).map(taking),
    ];
  });
  return table(['State', 'Event', 'Guard', 'Target', 'Actions'], rows);
}

const UNITS: [string, number][] = [
  ['d', 86_400_000],
  ['h', 3_600_000],
  ['min', 60_000],
  ['s', 1000],
];

/** The longest unit that gives a whole number: `2 d`, `10 min`. */
function duration(ms: number): string {
  const [name, size] = UNITS.find(([, unit]) => ms % unit === 0) ?? ['ms', 1];
  return `${ms / size} ${name}`;
}

export function stateTable(graph: MachineGraph): string {
  return table(
    ['State', 'Meaning', 'Kind', 'Tier', 'Time limit', 'Tags'],
    graph.nodes.map((n) => [
      code(n.id),
      n.description ?? n.meta.label ?? '',
      n.kind,
      n.meta.tier ?? '',
      n.meta.budgetMs === undefined ? '' : duration(n.meta.budgetMs),
      n.tags.join(', '),
    ]),
  );
}

/** Mermaid `stateDiagram-v2`; a colon or semicolon would end its labels. */
export function mermaid(graph: MachineGraph): string {
  const name = (id: string): string => id.replaceAll('.', '__');
  const safe = (text: string): string => text.replace(/[:;]/g, ' ').replaceAll('"', "'");
  const states = (parent: string | null, indent: string): string[] =>
    graph.nodes
      .filter((n) => n.parent === parent)
      .flatMap((n) => {
        const head = `${indent}state "${safe(n.meta.label ?? n.key)}" as ${name(n.id)}`;
        if (n.initial === null) return [head];
        return [
          `${head} {`,
          `${indent}  [*] --> ${name(n.initial)}`,
          ...states(n.id, `${indent}  `),
          `${indent}}`,
        ];
      });
  const edges = graph.edges
    .filter((e) => e.source !== '')
    .map((e) => {
      const label = safe([eventName(e.event), guardText(e)].filter(Boolean).join(' '));
      return `  ${name(e.source)} --> ${name(e.target ?? e.source)}${label ? ` : ${label}` : ''}`;
    });
  const finals = graph.nodes.filter((n) => n.kind === 'final' && n.parent === null);
  return [
    'stateDiagram-v2',
    ...states(null, '  '),
    `  [*] --> ${name(graph.initial)}`,
    ...edges,
    ...finals.map((n) => `  ${name(n.id)} --> [*]`),
  ].join('\n');
}
