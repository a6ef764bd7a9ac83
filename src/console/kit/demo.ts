/**
 * A demo person who walks through the real API on click: reserved number, fixed code. Its tokens stay in this process.
 * Never registered outside demo mode.
 */
import { randomInt } from 'node:crypto';
import type { FastifyInstance } from 'fastify';
import type { FlowItem } from '../../../db/reports.ts';
import { DEMO_CODE } from '../../engine/proofs.ts';
import { type Console, Problem } from './context.ts';
import { type Html, html } from './html.ts';

const KEPT = 200;
const MAX_TRIES = 3;

type Person = { phone: string; flowToken: string | null; accessToken: string | null; signup: string };

/** By the state the flow rests in: what to do, and the request that does it. */
type Move = { label: string; url: string; body: (p: Person) => object; token?: (p: Person) => string | null };

const MOVES: Record<string, Move> = {
  'signup:UNVERIFIED.code_sent': {
    label: 'Enter the code',
    url: '/v1/auth/signup/verify-otp',
    body: (p) => ({ phone: p.phone, otp: DEMO_CODE }),
  },
  'signup:UNVERIFIED.preuser_created': {
    label: 'Set a password',
    url: '/v1/auth/signup/set-password',
    body: () => ({ password: `Demo-Password-${randomInt(1e6, 1e7)}` }),
    token: (p) => p.flowToken,
  },
  'signup:UNVERIFIED.credentials_set': {
    label: 'Complete the profile',
    url: '/v1/auth/signup/profile',
    body: () => ({ first_name: 'Demo', last_name: 'Person', date_of_birth: '1990-12-10' }),
    token: (p) => p.flowToken,
  },
  'signup:LIMITED.kyc_none': {
    label: 'Submit KYC',
    url: '/v1/kyc',
    body: () => ({ document_type: 'PAN', document_number: `DEMOA${randomInt(1000, 10_000)}P` }),
    token: (p) => p.accessToken,
  },
  'signup:FULL': {
    label: 'Log in',
    url: '/v1/auth/send-otp',
    body: (p) => ({ phone: p.phone }),
  },
  'challenge:code_sent': {
    label: 'Enter the code',
    url: '/v1/auth/verify-otp',
    body: (p) => ({ phone: p.phone, otp: DEMO_CODE }),
  },
};

export type DemoFlows = ReturnType<typeof createDemoFlows>;

export function createDemoFlows(app: FastifyInstance) {
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
      const { ok, json } = await post('/v1/auth/signup/phone', { phone }, null);
      const signup = json.flow_id;
      if (!ok || typeof signup !== 'string') continue;
      remember(signup, { phone, flowToken: null, accessToken: null, signup });
      return signup;
    }
    throw new Problem('conflict');
  }

  /** The next request of this person; answers the flow to look at then. */
  async function step(flow: FlowItem): Promise<string> {
    const person = people.get(flow.id);
    const move = MOVES[`${flow.machine}:${flow.state}`];
    if (!person || !move) throw new Problem('not_found');
    const { ok, json } = await post(move.url, move.body(person), move.token?.(person) ?? null);
    if (!ok) throw new Problem('event_refused');
    const text = (value: unknown) => (typeof value === 'string' ? value : null);
    const next = {
      ...person,
      flowToken: text(json.temp_token) ?? text(json.flow_token) ?? person.flowToken,
      accessToken: text(json.access_token) ?? person.accessToken,
    };
    const flowId = text(json.flow_id) ?? flow.id;
    remember(flow.id, next);
    remember(flowId, next);
    return flowId;
  }

  return {
    start,
    step,
    /** The button of a demo person's flow; nothing for any other flow. */
    controls(flow: FlowItem, formToken: string): Html | '' {
      const move = MOVES[`${flow.machine}:${flow.state}`];
      if (!people.has(flow.id)) return '';
      if (!move) return html`<p class="muted">This demo person has nothing to do here.</p>`;
      return html`<form method="post" action="/console/demo/${flow.id}/next"><input type="hidden" name="form" value="${formToken}"><button class="primary" id="demo-next">Next step: ${move.label}</button></form>`;
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
