/** A machine as the console shows it: its graph, its committed picture, which states a flow can rest in, its milestones. */
import { type GraphEdge, type GraphNode, type MachineGraph, toGraph } from '../../../machines/graph.ts';
import { type MachineId, registry } from '../../../machines/index.ts';
import { inlineSvg } from '../../diagrams/inline.ts';

export type Milestone = { rank: number; state: string; label: string };

export type Model = {
  id: MachineId;
  version: number;
  graph: MachineGraph;
  svg: string;
  states: Map<string, GraphNode>;
  edges: Map<string, GraphEdge>;
  /** Leaves a flow can rest in, in document order; the state before the first event is none. */
  resting: GraphNode[];
  milestones: Milestone[];
};

export type Models = Map<MachineId, Model>;

function modelOf(id: MachineId, svg: string): Model {
  const { machine, version } = registry[id];
  const graph = toGraph(machine);
  const parents = new Set(graph.nodes.map((n) => n.parent));
  const passesThrough = (n: GraphNode) => {
    const own = graph.edges.filter((e) => e.source === n.id);
    return (
      own.some((e) => e.event === '' && e.guard === null) ||
      (own.length > 0 && own.every((e) => e.event === ''))
    );
  };
  return {
    id,
    version,
    graph,
    svg,
    states: new Map(graph.nodes.map((n) => [n.id, n])),
    edges: new Map(graph.edges.map((e) => [e.key, e])),
    resting: graph.nodes.filter((n) => !parents.has(n.id) && n.id !== graph.initial && !passesThrough(n)),
    milestones: graph.nodes
      .flatMap((n) =>
        n.meta.milestone === undefined
          ? []
          : [{ rank: n.meta.milestone, state: n.id, label: n.meta.label ?? n.key }],
      )
      .sort((a, b) => a.rank - b.rank),
  };
}

/** Sign-up first: it is what people come to see. */
export async function loadModels(): Promise<Models> {
  const models: Models = new Map();
  for (const id of Object.keys(registry) as MachineId[]) {
    models.set(id, modelOf(id, (await inlineSvg(id)) ?? ''));
  }
  return models;
}

/** Resting leaves at or below a state; the state itself when it is a leaf. */
export const leavesOf = (model: Model, state: string): GraphNode[] =>
  model.resting.filter((n) => n.id === state || n.id.startsWith(`${state}.`));

export const labelOf = (model: Model | undefined, state: string): string =>
  model?.states.get(state)?.meta.label ?? state;

export const tierOf = (model: Model, state: string): string | null => {
  for (
    let node = model.states.get(state);
    node;
    node = node.parent ? model.states.get(node.parent) : undefined
  ) {
    if (node.meta.tier) return node.meta.tier;
  }
  return null;
};

/** Every state the edges of a step lead through, the resting one included. */
export const visitedBy = (model: Model | undefined, edges: string[], toState: string): string[] => [
  ...new Set([...edges.flatMap((key) => model?.edges.get(key)?.target ?? []), toState]),
];
