/**
 * A demo person who walks through the real API on click: reserved number, fixed code. Its tokens stay in this process.
 * Never registered outside demo mode.
 */
import { randomInt } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { FlowItem } from '../../../db/reports.ts';
import { DEMO_CODE } from '../../engine/proofs.ts';
import { type Action, wayOn } from '../../http/actions.ts';
import type { Services } from '../../http/services.ts';
import { type Console, Problem } from './context.ts';
import { type Html, html } from './html.ts';

const KEPT = 200;
const MAX_TRIES = 3;

type Person = {
  phone: string;
  flowToken: string | null;
  accessToken: string | null;
  /** What the last answer offered, and the requests made so far. */
  next: readonly Action[];
  made: ReadonlySet<string>;
};

const SIGN_UP = '/v1/auth/signup/phone';
/** What a person with an account does: nothing else is offered to them. */
const LOGIN: Action = {
  event: 'CODE_REQUESTED',
  method: 'POST',
  href: '/v1/auth/send-otp',
  schema: 'SendOtp',
};

/** The request that leads on from where the flow is: the first one offered, whatever the machine's steps are. */
const wayOf = (flow: FlowItem, { next, made }: Person): Action | undefined =>
  flow.machine === 'signup' && flow.state === 'FULL' ? LOGIN : wayOn(next, made);

export type DemoFlows = ReturnType<typeof createDemoFlows>;

export function createDemoFlows(app: FastifyInstance, actions: Pick<Services['actions'], 'example'>) {
  const people = new Map<string, Person>();
  const remember = (flowId: string, person: Person): void => {
    people.set(flowId, person);
    const oldest = people.size > KEPT ? people.keys().next().value : undefined;
    if (oldest !== undefined) people.delete(oldest);
  };

  /** Through the front door: parsing, limits and contracts included. */
  async function post(url: string, body: object, token: string | null) {
    const answer = await app.inject({
      method: 'POST',
      url,
      payload: body,
      headers: { 'content-type': 'application/json', ...(token ? { authorization: `Bearer ${token}` } : {}) },
    });
    const json = answer.json() as Record<string, unknown>;
    if (answer.statusCode >= 500) throw new Problem('dependency_unavailable');
    if (answer.statusCode === 429)
      throw new Problem('rate_limited', { retryAfter: Number(json.retry_after ?? 1) });
    return { ok: answer.statusCode < 300, json };
  }

  async function start(): Promise<string> {
    for (let tries = 0; tries < MAX_TRIES; tries++) {
      // The last hundred of the reserved numbers stand for failures.
      const phone = `+1555555${randomInt(1000, 10_000)}`;
      const { ok, json } = await post(SIGN_UP, { phone }, null);
      const signup = json.flow_id;
      if (!ok || typeof signup !== 'string') continue;
      const next = json.next as Action[];
      remember(signup, { phone, flowToken: null, accessToken: null, next, made: new Set([SIGN_UP]) });
      return signup;
    }
    throw new Problem('conflict');
  }

  /** The example, as this person: its own number and a document that nobody else has. */
  function bodyOf(action: Action, { phone }: Person): object {
    const example = actions.example(action) ?? {};
    const own = { phone, otp: DEMO_CODE, document_number: `DEMOA${randomInt(1000, 10_000)}P` };
    return { ...example, ...Object.fromEntries(Object.entries(own).filter(([name]) => name in example)) };
  }

  /** The next request of this person; answers the flow to look at then. */
  async function step(flow: FlowItem): Promise<string> {
    const known = people.get(flow.id);
    const action = known && wayOf(flow, known);
    if (!action) throw new Problem('not_found');
    // Logging in begins with nothing but the phone.
    const person = action === LOGIN ? { ...known, flowToken: null, accessToken: null } : known;
    const { ok, json } = await post(
      action.href,
      bodyOf(action, person),
      person.accessToken ?? person.flowToken,
    );
    if (!ok) throw new Problem('event_refused');
    const text = (value: unknown) => (typeof value === 'string' ? value : null);
    const changed: Person = {
      ...person,
      flowToken: text(json.flow_token) ?? person.flowToken,
      accessToken: text(json.access_token) ?? person.accessToken,
      next: (json.next as Action[] | undefined) ?? [],
      made: new Set([...person.made, action.href]),
    };
    const flowId = text(json.flow_id) ?? flow.id;
    remember(flow.id, changed);
    remember(flowId, changed);
    return flowId;
  }

  return {
    start,
    step,
    /** The button of a demo person's flow; nothing for any other flow. */
    controls(flow: FlowItem, formToken: string): Html | '' {
      const person = people.get(flow.id);
      if (!person) return '';
      const action = wayOf(flow, person);
      if (!action) return html`<p class="muted">No further step for this demo person.</p>`;
      return html`<form method="post" action="/console/demo/${flow.id}/next"><input type="hidden" name="form" value="${formToken}"><button class="primary" id="demo-next" title="${action.method} ${action.href}">Next step: ${action.event}</button></form>`;
    },
  };
}

export function demoRoutes(app: FastifyInstance, c: Console, demo: DemoFlows): void {
  const form = { config: { formBody: 'only' as const } };
  app.post('/console/demo', form, async (request, reply) => {
    c.guard.checkForm((request.body as { form?: unknown } | undefined)?.form);
    return reply.redirect(`/console/flows/${await demo.start()}`, 303);
  });
  app.post('/console/demo/:id/next', form, async (request, reply) => {
    c.guard.checkForm((request.body as { form?: unknown } | undefined)?.form);
    const flow = await c.store.flow((request.params as { id: string }).id).catch(() => null);
    if (!flow) throw new Problem('not_found');
    return reply.redirect(`/console/flows/${await demo.step(flow)}`, 303);
  });
}
