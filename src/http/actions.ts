/**
 * What a client may do next, derived from what the routes declare they send: only routes that are registered are
 * offered, and only while the machine takes their event. It sends nothing and decides nothing.
 */
import type { FastifyInstance } from 'fastify';
import type { AnyMachineSnapshot } from 'xstate';
import { z } from 'zod';
import { type MachineId, registry } from '../../machines/index.ts';
import type { FlowView } from '../engine/snapshots.ts';

export const actionSchema = z
  .object({
    event: z.string().describe('What the state machine will be sent'),
    method: z.string(),
    href: z.string(),
    schema: z.string().nullable().describe('Name of the JSON Schema of the request body in this document'),
  })
  .meta({ id: 'NextAction' });
export type Action = z.infer<typeof actionSchema>;

/** Fields that every answer about a flow carries. */
export const flowFields = {
  flow_id: z.string().describe('Id of the flow'),
  state: z.string().describe('State the flow rests in now'),
  next: z.array(actionSchema).describe('What may be done next'),
};

/** Which flows of a machine a route is for: by their way into sign-up, or by what their code is for, or by the kind of their factor. */
type For = { entry?: 'phone' | 'email'; purpose?: string; kind?: string };

/** A route sends this event to this machine. `offered: false`: it is documented, but `next` names another route. */
export type Sends = { machine: MachineId; event: string; for?: For; offered?: false };

/** A route goes on where a flow has ended. `as`: the name it is offered under. */
export type Follows = { machine: MachineId; states: readonly string[]; as: string; for?: For };

declare module 'fastify' {
  interface FastifyContextConfig {
    sends?: Sends;
    follows?: readonly Follows[];
  }
}

export type Actions = ReturnType<typeof createActions>;

/** What contracts list next actions with, as of one clock reading. */
export type Offer = { actions: Pick<Actions, 'next' | 'toProve'>; now: number };

export const nextOf = (view: FlowView, { actions, now }: Offer): Action[] => actions.next(view, now);

type Row = { action: Action; machine: MachineId; for: For };

/** The sign-up entry a flow came by, or leads to; phone unless it says otherwise. */
function entryOf({ context }: FlowView): 'phone' | 'email' {
  const { entry, subject } = context as { entry?: string; subject?: { signupEntry?: string } | null };
  return (entry ?? subject?.signupEntry ?? 'phone') === 'phone' ? 'phone' : 'email';
}

const isFor = (view: FlowView, { entry, purpose, kind }: For): boolean =>
  (entry === undefined || entry === entryOf(view)) &&
  (purpose === undefined || purpose === view.context.purpose) &&
  (kind === undefined || kind === view.context.kind);

/** Whether the machine takes the event from an entitled client. A locked flow takes a code only to count it. */
function possible({ snapshot, machine }: FlowView, event: string, now: number): boolean {
  const declared = registry[machine as MachineId].events[event];
  if (!declared || (event === 'CODE_CHECKED' && snapshot.hasTag('locked'))) return false;
  const facts = declared.sample((snapshot as AnyMachineSnapshot).context, now);
  return snapshot.can({ ...facts, type: event, now } as never);
}

const described = (schema: object): string => (schema as { description?: string }).description ?? '';

/** The request that leads on: the first offered one that was not made yet and takes nothing back. */
export const wayOn = (next: readonly Action[], made: ReadonlySet<string>): Action | undefined =>
  next.find(({ method, href }) => method === 'POST' && !made.has(href));

/** The first example that a body's schema declares. */
export const exampleOf = (body: z.ZodType): object | undefined =>
  (body.meta()?.examples as object[] | undefined)?.[0];

export function createActions() {
  const examples = new Map<string, object>();
  const sending: Row[] = [];
  const following: (Row & { states: readonly string[] })[] = [];
  const sent = (view: FlowView): Row[] =>
    sending.filter((row) => row.machine === view.machine && isFor(view, row.for));

  return {
    /** Reads the declarations of every route that is registered after it, and documents what they send. */
    collect(app: FastifyInstance): void {
      app.addHook('onRoute', ({ method, url, schema, config }) => {
        if (method === 'HEAD') return;
        const input = schema?.body as z.ZodType | undefined;
        const body = input?.meta()?.id ?? null;
        const example = input && exampleOf(input);
        if (body !== null && example) examples.set(body, example);
        const action = (event: string): Action => ({
          event,
          method: String(method),
          href: url,
          schema: body,
        });
        const { sends, follows = [] } = config ?? {};
        if (sends && schema) {
          const { machine, event } = sends;
          const sentence = `Sends \`${event}\` to the [${machine} machine](/v1/flows/definitions/${machine}/diagram).`;
          Object.assign(schema, { description: [sentence, described(schema)].filter(Boolean).join(' ') });
        }
        if (sends && sends.offered !== false)
          sending.push({ action: action(sends.event), machine: sends.machine, for: sends.for ?? {} });
        for (const { machine, states, as, for: whom = {} } of follows)
          following.push({ action: action(as), machine, states, for: whom });
      });
    },

    /** A body that the action's schema takes; none for an action without a body. */
    example: ({ schema }: Pick<Action, 'schema'>): object | undefined =>
      schema === null ? undefined : examples.get(schema),

    /** Client actions the flow accepts now, then those that go on where it has ended. `now`: milliseconds. */
    next(view: FlowView, now: number): Action[] {
      const open = view.done ? [] : sent(view).filter(({ action }) => possible(view, action.event, now));
      const after = following.filter(
        (row) => row.machine === view.machine && row.states.includes(view.state) && isFor(view, row.for),
      );
      return [...open, ...after].map(({ action }) => action);
    },

    /**
     * What is left to a caller whose answer to a right code was lost, and with it the token that came with it: to prove
     * the identifier once more, or to log in.
     */
    anew(view: FlowView): Action[] {
      const unfinished = view.tier === 'UNVERIFIED' || view.state === 'resumed';
      const ended = view.machine === 'challenge' ? 'expired' : unfinished ? 'abandoned' : 'registered';
      return following
        .filter((row) => row.machine === view.machine && row.states.includes(ended) && isFor(view, row.for))
        .map(({ action }) => action);
    },

    /** Client actions the flow refuses now, each with the reason. */
    refused: (view: FlowView, now: number): { event: string; reason: string }[] =>
      sent(view)
        .filter(({ action }) => view.done || !possible(view, action.event, now))
        .map(({ action }) => ({
          event: action.event,
          reason: view.done ? `the flow has ended in ${view.state}` : `not possible while in ${view.state}`,
        })),

    /** What the owner of an identifier may do that still waits for its code. */
    toProve: (machine: MachineId, entry: 'phone' | 'email'): Action[] =>
      sending.filter((row) => row.machine === machine && row.for.entry === entry).map(({ action }) => action),
  };
}
