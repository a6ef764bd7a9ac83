/** A machine as data: nodes and edges. Pictures, tables and traces are views of it; it runs nothing. */
import type { AnyStateMachine } from 'xstate';

export type StateMeta = {
  tier?: string;
  budgetMs?: number;
  milestone?: number;
  label?: string;
  /** What is still to be done here, in a word; `stepBy`: the one way into sign-up that asks for it. */
  step?: string;
  stepBy?: string;
};

export type GraphNode = {
  /** Dotted path without the machine's id. */
  id: string;
  key: string;
  /** Null at the top level. */
  parent: string | null;
  kind: 'atomic' | 'compound' | 'parallel' | 'final' | 'history';
  /** Id of the child entered by default; null for a leaf. */
  initial: string | null;
  meta: StateMeta;
  description: string | null;
  tags: string[];
  entry: string[];
  exit: string[];
};

export type GraphEdge = {
  /** `source|event|index`, stable as long as the transition keeps its place. */
  key: string;
  /** '' when the machine itself declares the transition. */
  source: string;
  /** Null for a transition that stays where it is. */
  target: string | null;
  /** '' for an eventless transition. */
  event: string;
  guard: string | null;
  actions: string[];
  /** Position among this source's transitions of this event. */
  index: number;
  reenter: boolean;
};

export type MachineGraph = {
  id: string;
  version: string | null;
  initial: string;
  nodes: GraphNode[];
  edges: GraphEdge[];
};

type StateNode = AnyStateMachine['root'];
type Transition = ReturnType<AnyStateMachine['getTransitionData']>[number];

/** What an inline guard or action is called; a test refuses it in every registered machine. */
export const ANONYMOUS = '(anonymous)';

const idOf = (node: StateNode): string => node.path.join('.');

/** Static parameters belong to the name; computed ones do not. */
const withParams = (type: string, params: unknown): string =>
  params && typeof params === 'object'
    ? `${type}(${Object.entries(params)
        .map(([k, v]) => `${k}: ${typeof v === 'string' ? v : JSON.stringify(v)}`)
        .join(', ')})`
    : type;

/** The readable name of a guard: `a`, `a(max: 5)`, `not a`, `a and (b or c)`; null without one. */
export function guardName(guard: unknown): string | null {
  if (guard === undefined || guard === null) return null;
  if (typeof guard === 'string') return guard;
  if (typeof guard !== 'function') {
    const { type, params } = guard as { type: string; params?: unknown };
    return withParams(type, params);
  }
  const { name, guards, stateValue } = guard as { name: string; guards?: unknown[]; stateValue?: unknown };
  if (stateValue) return `in ${typeof stateValue === 'string' ? stateValue : JSON.stringify(stateValue)}`;
  if (!guards) return name || ANONYMOUS;
  const inner = guards.map((g) => {
    const text = guardName(g) ?? ANONYMOUS;
    return (g as { guards?: unknown[] }).guards?.length === 1 || !/ (and|or) /.test(text)
      ? text
      : `(${text})`;
  });
  return name === 'not' ? `not ${inner[0]}` : inner.join(` ${name} `);
}

/** The readable name of an action; XState's own come without their prefix (`assign`). */
export function actionName(action: unknown): string {
  if (typeof action === 'string') return action;
  const { type, params, name } = action as { type?: string; params?: unknown; name?: string };
  return type ? withParams(type.replace(/^xstate\./, ''), params) : name || ANONYMOUS;
}

function edge(source: StateNode, event: string, t: Transition, index: number): GraphEdge {
  if ((t.target?.length ?? 0) > 1)
    throw new Error(`${source.id}: a transition with several targets has no edge`);
  const target = t.target?.[0] as StateNode | undefined;
  return {
    key: `${idOf(source)}|${event}|${index}`,
    source: idOf(source),
    target: target ? idOf(target) : null,
    event,
    guard: guardName(t.guard),
    actions: t.actions.map(actionName),
    index,
    reenter: t.reenter,
  };
}

const initialOf = (node: StateNode): string | null =>
  node.type === 'compound' ? idOf(node.initial.target[0] as StateNode) : null;

/** Every state and every declared transition, in document order; an event's transitions before the eventless ones. */
export function toGraph(machine: AnyStateMachine): MachineGraph {
  const nodes: GraphNode[] = [];
  const edges: GraphEdge[] = [];
  const visit = (node: StateNode): void => {
    if (node.parent) {
      nodes.push({
        id: idOf(node),
        key: node.key,
        parent: node.parent.parent ? idOf(node.parent) : null,
        kind: node.type,
        initial: initialOf(node),
        meta: (node.meta ?? {}) as StateMeta,
        description: node.description ?? null,
        tags: [...node.tags],
        entry: node.entry.map(actionName),
        exit: node.exit.map(actionName),
      });
    }
    for (const [event, list] of node.transitions) edges.push(...list.map((t, i) => edge(node, event, t, i)));
    edges.push(...(node.always ?? []).map((t, i) => edge(node, '', t, i)));
    for (const child of Object.values(node.states) as StateNode[]) visit(child);
  };
  visit(machine.root);
  return {
    id: machine.id,
    version: machine.version ?? null,
    initial: initialOf(machine.root) ?? '',
    nodes,
    edges,
  };
}
