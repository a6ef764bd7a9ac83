/** The machines as clients read them: states, edges, and the answer to "what if". Pure views, without a flow. */
import { z } from 'zod';
import { type MachineGraph, toGraph } from '../../../machines/graph.ts';
import { type MachineId, registry } from '../../../machines/index.ts';
import { differences } from '../../engine/visible-context.ts';
import type { Preview } from './preview.ts';

const base = '/v1/flows/definitions';

export const definitionList = z
  .object({
    definitions: z.array(
      z.object({
        machine: z.string(),
        version: z.number(),
        states: z.number(),
        events: z.array(z.string()),
        href: z.string(),
        diagram: z.string(),
      }),
    ),
  })
  .meta({ id: 'FlowDefinitions' });

export const definitionAnswer = z
  .object({
    machine: z.string(),
    version: z.number(),
    initial: z.string(),
    events: z.array(z.string()),
    states: z.array(
      z.object({
        id: z.string().describe('Dotted path, as flows report their state'),
        parent: z.string().nullable(),
        kind: z.string(),
        initial: z.string().nullable(),
        label: z.string().nullable(),
        tier: z.string().nullable(),
        budget_ms: z.number().nullable().describe('A flow that rests longer counts as stuck'),
        milestone: z.number().nullable(),
        tags: z.array(z.string()),
        entry: z.array(z.string()),
      }),
    ),
    edges: z.array(
      z.object({
        key: z.string(),
        source: z.string(),
        target: z.string().nullable().describe('Null: the flow stays where it is'),
        event: z.string().nullable().describe('Null: taken at once when its guard holds'),
        guard: z.string().nullable(),
        actions: z.array(z.string()),
      }),
    ),
    diagram: z.string(),
  })
  .meta({ id: 'FlowDefinition' });

export const simulateBody = z
  .strictObject({
    state: z.string().min(1).max(100).describe('A state a flow can rest in, as a dotted path'),
    context: z
      .record(z.string().max(48), z.unknown())
      .optional()
      .describe('What differs from the usual context of that state: ids, verdicts, counters, times'),
    event: z
      .looseObject({
        type: z
          .string()
          .max(64)
          .regex(/^[A-Z][A-Z0-9_]*$/, 'is no event a flow can be sent'),
        now: z.int().min(0).max(8_640_000_000_000_000).optional(),
      })
      .describe('The event and the facts it carries; each fact has a usual value'),
  })
  .meta({ id: 'Simulate' });

const candidate = z.object({
  edge: z.string(),
  target: z.string().nullable(),
  guard: z.string().nullable(),
  holds: z.boolean(),
  conditions: z.array(z.object({ name: z.string(), holds: z.boolean() })),
});

export const simulation = z
  .object({
    machine: z.string(),
    version: z.number(),
    event: z.string(),
    allowed: z.boolean(),
    state: z.string().describe('Where the flow would rest then'),
    reason: z.string().nullable().describe('Why it is refused'),
    edges: z.array(z.string()).describe('Transitions taken, eventless ones included'),
    effects: z.array(z.object({ name: z.string(), params: z.unknown() })),
    context: z.array(z.object({ path: z.string(), before: z.unknown(), after: z.unknown() })),
    guards: z.array(candidate).describe('What was asked, in this order; the first that holds decides'),
  })
  .meta({ id: 'Simulation' });

const eventsOf = (graph: MachineGraph): string[] =>
  [...new Set(graph.edges.map((e) => e.event))].filter((event) => event !== '');

export const listOfDefinitions = (): z.infer<typeof definitionList> => ({
  definitions: Object.values(registry).map(({ id, version, machine }) => {
    const graph = toGraph(machine);
    const href = `${base}/${id}`;
    return {
      machine: id,
      version,
      states: graph.nodes.length,
      events: eventsOf(graph),
      href,
      diagram: `${href}/diagram`,
    };
  }),
});

export function describeDefinition(id: MachineId): z.infer<typeof definitionAnswer> {
  const { version, machine } = registry[id];
  const graph = toGraph(machine);
  return {
    machine: id,
    version,
    initial: graph.initial,
    events: eventsOf(graph),
    states: graph.nodes.map(({ meta, ...n }) => ({
      id: n.id,
      parent: n.parent,
      kind: n.kind,
      initial: n.initial,
      label: meta.label ?? null,
      tier: meta.tier ?? null,
      budget_ms: meta.budgetMs ?? null,
      milestone: meta.milestone ?? null,
      tags: n.tags,
      entry: n.entry,
    })),
    edges: graph.edges.map(({ index: _index, reenter: _reenter, event, ...e }) => ({
      ...e,
      event: event === '' ? null : event,
    })),
    diagram: `${base}/${id}/diagram`,
  };
}

export const simulationContract = (
  machine: MachineId,
  event: string,
  p: Preview,
): z.infer<typeof simulation> => ({
  machine,
  version: registry[machine].version,
  event,
  allowed: p.allowed,
  state: p.allowed ? p.to : p.from,
  reason: p.allowed ? null : p.reason,
  edges: p.allowed ? p.edges : [],
  effects: p.allowed ? p.effects.map(({ name, params }) => ({ name, params: params ?? null })) : [],
  context: p.allowed
    ? differences(p.before, p.after).map(({ path, before, after }) => ({
        path,
        before: before ?? null,
        after: after ?? null,
      }))
    : [],
  guards: p.candidates,
});
