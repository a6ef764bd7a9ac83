/** /console/funnel: how far flows get, where they drop off, how long they stay; as a table and as heat on the picture. */
import type { FastifyInstance } from 'fastify';
import type { StatCell } from '../../../db/flow-stats.ts';
import { isMachineId, type MachineId } from '../../../machines/index.ts';
import type { Console } from '../kit/context.ts';
import { picture } from '../kit/diagram.ts';
import { count, duration, percent } from '../kit/format.ts';
import { noStays, quantile } from '../kit/histogram.ts';
import { type Html, html } from '../kit/html.ts';
import { labelOf, type Model } from '../kit/model.ts';
import { flowsOf, tabs } from './machines.ts';

const DAY_MS = 86_400_000;
const RANGES = [1, 7, 30, 90];
const DAYS_SHOWN = 14;
const HEAT_STEPS = 5;

type View = { machine: MachineId; days: number; version: number | null; heat: 'count' | 'time' };

function viewOf(raw: unknown): View {
  const q = raw as Record<string, unknown>;
  const days = Number(q.days);
  return {
    machine: typeof q.machine === 'string' && isMachineId(q.machine) ? q.machine : 'signup',
    days: RANGES.includes(days) ? days : 30,
    version: /^\d{1,4}$/.test(String(q.version ?? '')) ? Number(q.version) : null,
    heat: q.heat === 'time' ? 'time' : 'count',
  };
}

type Sum = { entered: number; exited: number; reached: number; ended: number; stays: number[] };
const nothing = (): Sum => ({ entered: 0, exited: 0, reached: 0, ended: 0, stays: noStays() });

function add(to: Sum, cell: Sum): void {
  to.entered += cell.entered;
  to.exited += cell.exited;
  to.reached += cell.reached;
  to.ended += cell.ended;
  cell.stays.forEach((n, i) => {
    to.stays[i] = (to.stays[i] ?? 0) + n;
  });
}

function group(cells: StatCell[], keyOf: (cell: StatCell) => string): Map<string, Sum> {
  const sums = new Map<string, Sum>();
  for (const cell of cells) {
    const key = keyOf(cell);
    const to = sums.get(key) ?? nothing();
    add(to, cell);
    sums.set(key, to);
  }
  return sums;
}

const bar = (part: number, whole: number): Html =>
  html`<meter min="0" max="${Math.max(1, whole)}" value="${part}"></meter>`;
const share = (part: number, whole: number): Html =>
  html`${percent(part, whole)} <small class="muted">n=${count(whole)}</small>`;
const about = (ms: number | null): string => (ms === null ? '–' : `≈ ${duration(ms)}`);

function milestones(model: Model, sums: Map<string, Sum>): Html {
  const rows = model.milestones.map((m) => ({ ...m, ...(sums.get(m.state) ?? nothing()) }));
  const first = rows[0]?.reached ?? 0;
  return html`<div class="scroll"><table class="list"><thead><tr><th>Milestone</th><th></th><th class="num">Reached</th><th class="num">% of started</th><th class="num">Continued</th><th class="num">Dropped off</th><th class="num">In progress</th><th class="num">Median time</th><th class="num">p90</th></tr></thead><tbody>${rows.map(
    (m, i) => {
      const next = rows[i + 1];
      const on = next?.reached ?? 0;
      const here = next ? Math.max(0, m.reached - on - m.ended) : Math.max(0, m.reached - m.ended);
      return html`<tr><td><a href="${flowsOf(model.id, m.state)}">${m.label}</a></td><td class="bar">${bar(m.reached, first)}</td><td class="num">${count(m.reached)}</td><td class="num">${share(m.reached, first)}</td><td class="num">${next ? share(on, m.reached) : '–'}</td><td class="num">${m.ended > 0 ? html`<span class="flag">${share(m.ended, m.reached)}</span>` : '0'}</td><td class="num">${count(here)}</td><td class="num">${about(quantile(m.stays, 0.5))}</td><td class="num">${about(quantile(m.stays, 0.9))}</td></tr>`;
    },
  )}</tbody></table></div>`;
}

function states(model: Model, sums: Map<string, Sum>): Html {
  const known = model.graph.nodes.filter((n) => sums.has(n.id));
  return html`<div class="scroll"><table class="list"><thead><tr><th>State</th><th class="num">Entered</th><th class="num">Left</th><th class="num">Median time</th><th class="num">p90</th><th class="num">Time limit</th><th></th></tr></thead><tbody>${known.map(
    (node) => {
      const s = sums.get(node.id) ?? nothing();
      const [median, p90] = [quantile(s.stays, 0.5), quantile(s.stays, 0.9)];
      const budget = node.meta.budgetMs;
      return html`<tr><td><a href="${flowsOf(model.id, node.id)}" title="${labelOf(model, node.id)}">${node.id}</a></td><td class="num">${count(s.entered)}</td><td class="num">${share(s.exited, s.entered)}</td><td class="num">${about(median)}</td><td class="num">${about(p90)}</td><td class="num">${budget === undefined ? '–' : duration(budget)}</td><td>${budget !== undefined && p90 !== null && p90 > budget ? html`<span class="flag">p90 over time limit</span> ` : ''}${budget === undefined ? '' : html`<a href="${flowsOf(model.id, node.id)}&amp;stuck=1">stuck</a>`}</td></tr>`;
    },
  )}</tbody></table></div>`;
}

/** Where each group of flows got to; the first milestone is the group's size. */
function compare(model: Model, groups: Map<string, Map<string, Sum>>, name: string): Html {
  const shown = model.milestones.slice(1);
  const first = model.milestones[0]?.state ?? '';
  return html`<div class="scroll"><table class="list"><thead><tr><th>${name}</th><th class="num">Started</th>${shown.map((m) => html`<th class="num" title="${m.state}">${m.label}</th>`)}</tr></thead><tbody>${[
    ...groups,
  ].map(([key, sums]) => {
    const n = sums.get(first)?.reached ?? 0;
    return html`<tr><td>${key}</td><td class="num">${count(n)}</td>${shown.map((m) => html`<td class="num" title="${count(sums.get(m.state)?.reached ?? 0)} of n=${count(n)}">${percent(sums.get(m.state)?.reached ?? 0, n)}</td>`)}</tr>`;
  })}</tbody></table><p class="muted small">Percentages are of the flows started in the same row.</p></div>`;
}

/** From 0 (nothing) to 5 on a logarithmic scale, because counts and times span orders of magnitude. */
function heatOf(values: Map<string, number>): (state: string) => number {
  const most = Math.max(0, ...values.values());
  return (state) => {
    const value = values.get(state) ?? 0;
    return value <= 0 || most <= 0
      ? 0
      : Math.max(1, Math.ceil((HEAT_STEPS * Math.log1p(value)) / Math.log1p(most)));
  };
}

function heat(model: Model, sums: Map<string, Sum>, view: View): Html {
  const values = new Map<string, number>();
  const texts = new Map<string, string>();
  for (const [state, s] of sums) {
    const median = quantile(s.stays, 0.5);
    const value = view.heat === 'count' ? s.entered : (median ?? 0);
    if (value <= 0) continue;
    values.set(state, value);
    texts.set(state, view.heat === 'count' ? count(value) : duration(value));
  }
  const level = heatOf(values);
  return picture(model, {
    brief: true,
    state: (id) => `heat-${level(id)}`,
    badge: (id) => texts.get(id) ?? null,
    link: (id) => (texts.has(id) ? flowsOf(model.id, id) : null),
  });
}

export function funnelPage(app: FastifyInstance, c: Console): void {
  app.get('/console/funnel', async (request, reply) => {
    const view = viewOf(request.query);
    const model = c.models.get(view.machine)!;
    const now = c.s.clock.now();
    const since = new Date(now - (view.days - 1) * DAY_MS).toISOString().slice(0, 10);
    const [cells, caughtUp] = await Promise.all([
      c.stats.cells(view.machine, since, view.version),
      c.stats.caughtUpAt(),
    ]);
    const sums = group(cells, (cell) => cell.state);
    const by = (keyOf: (cell: StatCell) => string) =>
      new Map([...Map.groupBy(cells, keyOf)].map(([key, own]) => [key, group(own, (cell) => cell.state)]));
    const days = new Map(
      [...by((cell) => cell.day)].sort(([a], [b]) => (a < b ? 1 : -1)).slice(0, DAYS_SHOWN),
    );
    const versions = new Map([...by((cell) => `v${cell.machineVersion}`)].sort());
    const url = (change: Partial<Record<keyof View, string>>) =>
      `/console/funnel?${new URLSearchParams({ machine: view.machine, days: String(view.days), heat: view.heat, ...(view.version === null ? {} : { version: String(view.version) }), ...change })}`;
    const pick = (name: keyof View, value: string, text: string, lit: boolean) =>
      html`<a href="${url({ [name]: value })}"${lit ? html` aria-current="page"` : ''}>${text}</a>`;
    const behind =
      caughtUp === null
        ? 'not counted yet'
        : `counted up to ${duration(now - c.s.clock.offset() - caughtUp.getTime() + 8000)} ago`;
    const body = html`<section class="card wide"><header><h1>${tabs(c.models, view.machine, '/console/funnel')}</h1><p class="muted">Flows by the day they started (UTC) · ${behind}</p></header>
<nav class="tabs" aria-label="Range">${RANGES.map((d) => pick('days', String(d), d === 1 ? 'today' : `${d} days`, d === view.days))}<span class="sep"></span>${pick('version', '', 'all versions', view.version === null)}${Array.from({ length: model.version }, (_, i) => pick('version', String(i + 1), `v${i + 1}`, view.version === i + 1))}</nav>
${cells.length === 0 ? html`<p class="empty">No flow in this range has been counted yet.</p>` : model.milestones.length ? milestones(model, sums) : html`<p class="empty">This machine declares no milestones; its states are below.</p>`}</section>
<section class="card wide"><header><h2>Heat</h2><nav class="tabs" aria-label="Heat">${pick('heat', 'count', 'flows entered', view.heat === 'count')}${pick('heat', 'time', 'median time in state', view.heat === 'time')}</nav><p class="muted">darker is more, on a logarithmic scale</p></header><div class="picture">${heat(model, sums, view)}</div></section>
<section class="card wide"><header><h2>States</h2><p class="muted">Time in state of flows that have left it</p></header>${states(model, sums)}</section>
${
  model.milestones.length
    ? html`<section class="card wide"><header><h2>By start day</h2></header>${compare(model, days, 'Day')}</section>
<section class="card wide"><header><h2>By machine version</h2></header>${compare(model, versions, 'Version')}</section>`
    : ''
}`;
    return c.send(request, reply, { title: 'Funnel', at: '/console/funnel', body });
  });
}
