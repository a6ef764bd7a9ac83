/**
 * /console/flows/:id/what-if: from any step of a flow, what an event would do and why another one is refused. The
 * machine is asked and its answer shown; nothing is sent and nothing is stored.
 */
import type { FastifyInstance } from 'fastify';
import { validate } from 'uuid';
import type { FlowItem, Step } from '../../../db/reports.ts';
import { isMachineId, registry } from '../../../machines/index.ts';
import { restore } from '../../engine/snapshots.ts';
import { differences, shownText, word } from '../../engine/visible-context.ts';
import type { Preview } from '../../features/flows/preview.ts';
import { simulateOn } from '../../features/flows/simulate.ts';
import { type Console, Problem } from '../kit/context.ts';
import { picture } from '../kit/diagram.ts';
import { type Html, html } from '../kit/html.ts';
import { type Model, visitedBy } from '../kit/model.ts';

/** Older steps than these are not offered. */
const STEPS = 200;
/** What is tried beside the usual facts of the event. */
const FACTS: Record<string, [name: string, facts: object]> = {
  usual: ['usual inputs', {}],
  wrong: ['wrong code', { verdict: { matches: false } }],
  failed: ['wrong PIN', { ok: false }],
  review: ['risk says review', { risk: { decision: 'REVIEW' } }],
  block: ['risk says block', { risk: { decision: 'BLOCK' } }],
  no: ['a reviewer rejects', { approve: false }],
  final: ['final, no retry', { retryable: false }],
};

type Row = { event: string; facts: string; preview: Preview | null };

const eventsOf = (model: Model): string[] =>
  [...new Set(model.graph.edges.map((e) => e.event))].filter((e) => e !== '');

/** The snapshot after a step, as the engine would have restored it then. */
function snapshotAfter(step: Step) {
  if (!isMachineId(step.machine) || step.context === null) return null;
  const { machine } = registry[step.machine];
  const path = step.toState.split('.');
  const value = path.reduceRight<unknown>((inner, key) => (inner === null ? key : { [key]: inner }), null);
  const done = path.length === 1 && machine.states[path[0]!]?.type === 'final';
  const stored = { value, context: step.context, status: done ? 'done' : 'active' };
  const restored = restore(registry[step.machine], step.machineVersion, stored);
  return restored.ok ? restored.snapshot : null;
}

/** Null when the event does not carry such facts. */
function ask(step: Step, event: string, facts: string, now: number): Preview | null {
  const snapshot = snapshotAfter(step);
  if (!snapshot || !isMachineId(step.machine)) return null;
  try {
    return simulateOn(step.machine, snapshot, { ...FACTS[facts]?.[1], type: event }, now);
  } catch (error) {
    if (error instanceof Problem && error.code === 'validation_failed') return null;
    throw error;
  }
}

const guardList = (p: Preview): Html | string =>
  p.candidates.length === 0
    ? ''
    : html`<ul class="guards">${p.candidates.map(
        (c) =>
          html`<li class="${c.holds ? 'holds' : 'fails'}" data-guard="${c.edge}">${c.holds ? '✓' : '✗'} ${c.conditions.length ? c.conditions.map((d) => html`<span class="guard mono">${d.holds ? '✓' : '✗'} ${d.name}</span> `) : html`<span class="muted">no guard</span> `}→ ${c.target ?? 'stays'}</li>`,
      )}</ul>`;

function verdict({ preview: p }: Row): Html {
  if (p === null) return html`<p class="notice">This event does not have these inputs.</p>`;
  if (!p.allowed)
    return html`<p data-verdict="refused"><span class="flag">refused</span> ${p.reason}</p>${guardList(p)}`;
  const changed = differences(p.before, p.after);
  return html`<p data-verdict="allowed"><span class="state-chip granted">possible</span> ${p.from} → <b>${p.to}</b></p>
${guardList(p)}
<p>Side effects: ${p.effects.length ? p.effects.map((e) => html`<code>${e.name}</code> `) : html`<span class="muted">nothing</span>`}</p>
${changed.length ? html`<dl class="diff">${changed.map((d) => html`<dt>${d.path}</dt><dd>${d.before === undefined ? '' : html`<del>${shownText(d.before)}</del> `}<ins>${shownText(d.after)}</ins></dd>`)}</dl>` : ''}`;
}

/** Every event of the machine with its usual facts, at a glance. */
const overview = (rows: Row[], href: (event: string) => string): Html =>
  html`<table class="list"><thead><tr><th>Event</th><th>Outcome</th></tr></thead><tbody>${rows.map(
    ({ event, preview: p }) =>
      html`<tr data-event="${event}"><td><a class="mono" href="${href(event)}">${event}</a></td><td>${p?.allowed ? html`→ <b>${p.to}</b>` : html`<span class="flag">refused</span> <small>${p ? p.reason : 'no answer'}</small>`}</td></tr>`,
  )}</tbody></table>`;

const option = (value: string | number, text: string, chosen: string | number) =>
  html`<option value="${value}"${value === chosen ? html` selected` : ''}>${text}</option>`;

const chooser = (
  flow: FlowItem,
  steps: Step[],
  at: Step,
  events: string[],
  event: string,
  facts: string,
): Html =>
  html`<form class="filters" method="get" action="/console/flows/${flow.id}/what-if">
<label>From step <select name="step">${steps.map((s) => option(s.seq, `${s.seq} · ${s.toState}`, at.seq))}</select></label>
<label>Event <select name="event">${events.map((e) => option(e, e, event))}</select></label>
<label>Inputs <select name="facts">${Object.entries(FACTS).map(([key, [name]]) => option(key, name, facts))}</select></label>
<button class="primary">Simulate</button></form>`;

export function whatIfPage(app: FastifyInstance, c: Console): void {
  app.get('/console/flows/:id/what-if', async (request, reply) => {
    const { id } = request.params as { id: string };
    const flow = validate(id) ? await c.store.flow(id) : null;
    const model = flow ? c.models.get(flow.machine as never) : undefined;
    if (!flow || !model) throw new Problem('not_found');
    const steps = (await c.store.steps(id, STEPS, null)).filter((s) => !s.refused && s.context !== null);
    const query = request.query as Record<string, unknown>;
    const at = steps.find((s) => String(s.seq) === query.step) ?? steps[0];
    if (!at) throw new Problem('not_found', { detail: 'This flow has no step to simulate from.' });
    const events = eventsOf(model);
    const event = events.find((e) => e === query.event) ?? '';
    const facts =
      typeof query.facts === 'string' && Object.hasOwn(FACTS, query.facts) ? query.facts : 'usual';
    const now = c.s.clock.now();
    const rows = events.map((e): Row => ({ event: e, facts, preview: ask(at, e, 'usual', now) }));
    const chosen = event === '' ? null : { event, facts, preview: ask(at, event, facts, now) };
    const taken = chosen?.preview?.allowed ? chosen.preview : null;
    const through = new Set(taken ? visitedBy(model, taken.edges, taken.to) : []);
    const marks = {
      brief: true,
      state: (s: string) => (s === at.toState ? 'is-current' : through.has(s) ? 'is-visited' : ''),
      edge: (key: string) => (taken?.edges.includes(key) ? 'is-last' : ''),
    };
    const href = (e: string) => `/console/flows/${id}/what-if?step=${at.seq}&event=${e}`;
    const body = html`<section class="card wide"><header><h1><small>Simulate</small> <a class="mono" href="/console/flows/${id}">${id}</a></h1><p class="muted">Nothing is sent and nothing is stored</p></header>
${chooser(flow, steps, at, events, event, facts)}</section>
<div class="split"><section class="card sticky" aria-label="Diagram"><div class="picture${model.graph.nodes.length < 15 ? ' small' : ''}">${picture(model, marks)}</div></section>
<div class="column">
${chosen ? html`<section class="card"><header><h2 class="mono">${word(event)}</h2><p class="muted">in ${at.toState}, ${FACTS[facts]?.[0]}</p></header>${verdict(chosen)}</section>` : ''}
<section class="card"><header><h2>Every event</h2><p class="muted">from ${at.toState}, with usual inputs</p></header>${overview(rows, href)}</section>
</div></div>`;
    return c.send(request, reply, { title: 'Simulate', at: '/console/flows', body });
  });
}
