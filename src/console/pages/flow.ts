/** /console/flows/:id: the path of one flow, step by step, and the actions available to it. It changes nothing. */
import type { FastifyInstance } from 'fastify';
import { validate } from 'uuid';
import type { FlowItem, OutboxEntry, Step } from '../../../db/reports.ts';
import { registry } from '../../../machines/index.ts';
import { restore, viewOf } from '../../engine/snapshots.ts';
import { differences, shownText, word } from '../../engine/visible-context.ts';
import { type Console, Problem } from '../kit/context.ts';
import { asCurl } from '../kit/curl.ts';
import type { DemoFlows } from '../kit/demo.ts';
import { picture } from '../kit/diagram.ts';
import { clockTime, duration, stamp } from '../kit/format.ts';
import { type Html, html } from '../kit/html.ts';
import { labelOf, type Model, tierOf, visitedBy } from '../kit/model.ts';
import { stateChip, stuckReasons } from './flows.ts';
import { flowsOf } from './machines.ts';

/** Together with the largest picture this stays below 50 kB. */
const STEPS = 12;

const time = (at: Date): Html =>
  html`<time datetime="${at.toISOString()}" title="${stamp(at)} UTC">${clockTime(at)}</time>`;

/** Guards that let a step through, read from its edges. */
const guardsOf = (model: Model | undefined, edges: string[]): string[] =>
  edges.flatMap((key) => model?.edges.get(key)?.guard ?? []);

function changes(step: Step, before: Step | undefined): Html | string {
  if (step.context === null) return '';
  const changed = differences(before?.context ?? null, step.context);
  if (changed.length === 0) return '';
  return html`<details><summary>${changed.length} ${changed.length === 1 ? 'change' : 'changes'} in context</summary><dl class="diff">${changed.map(
    (d) =>
      html`<dt>${d.path}</dt><dd>${d.before === undefined ? '' : html`<del>${shownText(d.before)}</del> `}<ins>${shownText(d.after)}</ins></dd>`,
  )}</dl></details>`;
}

function stepItem(
  model: Model | undefined,
  step: Step,
  earlier: Step | undefined,
  context: Step | undefined,
): Html {
  const guards = guardsOf(model, step.edges);
  const through = visitedBy(model, step.edges, step.toState)
    .slice(0, -1)
    .filter((s) => s !== step.fromState && s !== step.toState);
  return html`<li class="step${step.refused ? ' is-refused' : ''}" data-step="${step.seq}" data-id="${step.id}" data-from="${step.fromState}" data-to="${step.toState}" data-edges="${JSON.stringify(step.edges)}" data-refused="${step.refused ? '1' : ''}" tabindex="-1">
<p class="when">${time(step.at)} <span class="muted">${earlier ? `+${duration(step.at.getTime() - earlier.at.getTime())}` : ''}</span></p>
<p class="what"><b class="mono">${word(step.event)}</b>${guards.map((g) => html` <span class="guard mono">[${g}]</span>`)}${step.refused ? html` <span class="flag">refused</span>` : ''}</p>
<p class="where">${step.refused ? html`stays in ${step.fromState}` : html`${step.fromState} → ${through.map((s) => html`<span class="muted">${s} → </span>`)}<b>${step.toState}</b>`}</p>
<p class="who muted">${word(step.actor)}${step.requestId === null ? '' : html` · request <span class="mono">${word(step.requestId)}</span>`}</p>
${changes(step, context)}</li>`;
}

/** Newest first in, oldest first out; the extra oldest one only serves comparison. */
function timeline(model: Model | undefined, steps: Step[]): Html {
  const shown = steps.slice(0, STEPS);
  const contextBefore = (at: number) => steps.slice(at + 1).find((s) => !s.refused);
  const items = shown.map((step, i) => stepItem(model, step, steps[i + 1], contextBefore(i)));
  return html`<ol class="timeline" id="timeline">${items.reverse()}</ol>`;
}

function outboxTable(entries: OutboxEntry[], now: number): Html {
  if (entries.length === 0) return html`<p class="empty">This flow has sent no message.</p>`;
  return html`<div class="scroll"><table class="list"><thead><tr><th>Message</th><th>Status</th><th class="num">Tries</th><th>Due</th><th>Last error</th></tr></thead><tbody>${entries.map(
    (o) =>
      html`<tr><td><b>${o.topic}</b> <small class="mono muted">${o.id.split(':').slice(1).join(':')}</small></td><td><span class="state-chip ${o.status === 'dead' ? 'denied' : o.status === 'done' ? 'granted' : ''}">${o.status}</span></td><td class="num">${o.attempts}</td><td>${o.status === 'pending' ? (o.dueAt.getTime() > now ? `in ${duration(o.dueAt.getTime() - now)}` : `${duration(now - o.dueAt.getTime())} late`) : stamp(o.doneAt ?? o.dueAt)}</td><td>${o.status === 'done' ? '' : (o.lastError ?? '')}</td></tr>`,
  )}</tbody></table></div>`;
}

async function nextPanel(c: Console, flow: FlowItem, baseUrl: string, now: number): Promise<Html> {
  const loaded = await c.s.flows.byId(flow.id, { deviceId: null, now: new Date(now) });
  const definition = registry[flow.machine as keyof typeof registry];
  if (!loaded || !definition || flow.status === 'archived')
    return html`<p class="empty">This flow was archived.</p>`;
  const restored = restore(definition, loaded.flow.machineVersion, loaded.flow.snapshot);
  if (!restored.ok)
    return html`<p class="notice">The stored snapshot cannot be read. Requests about this flow answer <code>flow_needs_restart</code>.</p>`;
  const actions = c.s.actions.next(viewOf(definition, loaded.flow as never, restored.snapshot), now);
  if (actions.length === 0) return html`<p class="empty">No client action is possible now.</p>`;
  return html`<ul class="actions">${actions.map(
    (a) =>
      html`<li><p><b class="mono">${a.event}</b> <span class="mono muted">${a.method} ${a.href}</span></p><div class="copy"><code>${asCurl(a, c.s.actions.example(a), baseUrl)}</code><button type="button" data-copy hidden>Copy as curl</button></div></li>`,
  )}</ul>`;
}

function facts(c: Console, flow: FlowItem & { purpose: string | null }, now: number): Html {
  const model = c.models.get(flow.machine as never);
  const reasons = stuckReasons(flow, c.models, now);
  const tier = model ? tierOf(model, flow.state) : null;
  const due =
    flow.nextDueAt === null
      ? 'none'
      : `${stamp(flow.nextDueAt)} UTC (${flow.nextDueAt.getTime() > now ? `in ${duration(flow.nextDueAt.getTime() - now)}` : `${duration(now - flow.nextDueAt.getTime())} late`})`;
  return html`<dl class="facts">
<div><dt>State</dt><dd>${stateChip(c.models, flow.machine, flow.state)} ${labelOf(model, flow.state) === flow.state ? '' : labelOf(model, flow.state)} for ${duration(now - flow.stateEnteredAt.getTime())}</dd></div>
<div><dt>Machine</dt><dd><a href="${flowsOf(flow.machine, flow.state)}">${flow.machine}</a> v${flow.machineVersion}${flow.purpose ? html` · ${word(flow.purpose)}` : ''} · ${flow.status}${tier ? html` · tier ${tier}` : ''}</dd></div>
<div><dt>Started</dt><dd>${stamp(flow.createdAt)} UTC, ${flow.version} ${flow.version === 1 ? 'step' : 'steps'}</dd></div>
<div><dt>Account</dt><dd>${flow.accountId === null ? 'none yet' : html`<a class="mono" href="/console/flows?q=${flow.accountId}">${flow.accountId}</a>`}</dd></div>
<div><dt>Timer</dt><dd>${due}</dd></div>
${reasons.length ? html`<div><dt>Stuck</dt><dd>${reasons.map((r) => html`<span class="flag">${r}</span> `)}</dd></div>` : ''}
</dl>`;
}

export function flowPage(app: FastifyInstance, c: Console, demo: DemoFlows | null): void {
  app.get('/console/flows/:id', async (request, reply) => {
    const { id } = request.params as { id: string };
    const flow = validate(id) ? await c.store.flow(id) : null;
    if (!flow) throw new Problem('not_found');
    const now = c.s.clock.now();
    const { before } = request.query as { before?: unknown };
    const cursor = typeof before === 'string' && validate(before) ? before : null;
    const [steps, path, outbox] = await Promise.all([
      c.store.steps(id, STEPS + 2, cursor),
      c.store.path(id),
      c.store.outboxOf(id),
    ]);
    const model = c.models.get(flow.machine as never);
    const last = path.at(-1);
    const visited = new Set(path.flatMap((p) => visitedBy(model, p.edges, p.toState)));
    const taken = new Set(path.flatMap((p) => p.edges));
    const marks = {
      brief: true,
      state: (s: string) => (s === flow.state ? 'is-current' : visited.has(s) ? 'is-visited' : ''),
      edge: (key: string) => (last?.edges.includes(key) ? 'is-last' : taken.has(key) ? 'is-taken' : ''),
    };
    const earlier = steps.length > STEPS ? steps[STEPS - 1] : undefined;
    const base = `${request.protocol}://${request.host}`;
    const body = html`<section class="card wide"><header><h1><small>Flow</small> <span class="mono" id="flow-id">${flow.id}</span></h1>${demo ? demo.controls(flow, c.guard.formToken) : ''}</header>
${facts(c, flow, now)}</section>
<div class="split" data-live="flow" data-flow-id="${flow.id}">
<section class="card sticky" aria-label="Diagram"><form class="scrubber" id="scrubber" hidden><button type="button" id="play" aria-label="Play the steps">▶</button><label><span class="sr">Step</span><input type="range" id="scrub" min="1" max="1" value="1" step="1"></label><output id="scrub-at" for="scrub"></output></form>
<div class="picture${model && model.graph.nodes.length < 15 ? ' small' : ''}">${model ? picture(model, marks) : html`<p class="notice">This version has no machine “${word(flow.machine)}”.</p>`}</div></section>
<div class="column">
<section class="card"><header><h2>Timeline</h2><p class="muted">${cursor ? html`<a href="/console/flows/${id}">Newest</a> · ` : ''}${earlier ? html`<a href="/console/flows/${id}?before=${earlier.id}">Earlier steps</a>` : 'from the first step'} · UTC</p></header>${timeline(model, steps)}</section>
<section class="card"><header><h2>Available actions</h2><p class="muted">What a client may do now · <a href="/console/flows/${id}/what-if">Simulate an event</a></p></header>${await nextPanel(c, flow, base, now)}</section>
<section class="card"><header><h2>Outbox</h2><p class="muted">Messages of this flow</p></header>${outboxTable(outbox, now)}</section>
</div></div>`;
    return c.send(request, reply, {
      title: `Flow ${flow.id.slice(0, 8)}`,
      at: '/console/flows',
      body,
      scripts: ['replay.js', 'copy.js'],
    });
  });
}
