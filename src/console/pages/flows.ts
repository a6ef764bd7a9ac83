/** /console/flows: which flows, by machine, state, tier, age, id, and which of them are stuck. All of it in the URL. */
import type { FastifyInstance } from 'fastify';
import type { FlowFilter, FlowItem } from '../../../db/reports.ts';
import type { Console } from '../kit/context.ts';
import { duration, shortId, stamp } from '../kit/format.ts';
import { type Html, html } from '../kit/html.ts';
import { labelOf, leavesOf, type Models, tierOf } from '../kit/model.ts';

const PAGE = 50;
const GRACE_MS = 5000;
const TIERS = ['UNVERIFIED', 'LIMITED', 'FULL'] as const;
const AGES: [string, string, number][] = [
  ['1h', '1 hour', 3_600_000],
  ['1d', '1 day', 86_400_000],
  ['7d', '7 days', 7 * 86_400_000],
  ['30d', '30 days', 30 * 86_400_000],
];
const ID = /^[0-9a-f]{4,8}(-?[0-9a-f]{0,4}(-?[0-9a-f]{0,4}(-?[0-9a-f]{0,4}(-?[0-9a-f]{0,12})?)?)?)?$/i;

type Query = {
  machine: string;
  state: string;
  tier: string;
  age: string;
  stuck: boolean;
  q: string;
  before: string;
};

/** Unknown values mean "no filter": an old link still opens the list. */
function queryOf(raw: unknown): Query {
  const given = raw as Record<string, unknown>;
  const text = (name: string) =>
    typeof given[name] === 'string' ? (given[name] as string).slice(0, 120).trim() : '';
  return {
    machine: text('machine'),
    state: text('state'),
    tier: text('tier'),
    age: text('age'),
    stuck: text('stuck') === '1',
    q: text('q'),
    before: text('before'),
  };
}

/** Null when the cursor is none of ours. */
function cursorOf(text: string): { at: Date; id: string } | null {
  const match = /^(\d{13})_([0-9a-f]{8}-[0-9a-f-]{27})$/.exec(text);
  return match ? { at: new Date(Number(match[1])), id: match[2]! } : null;
}

function filterOf(query: Query, models: Models, now: number): FlowFilter {
  const age = AGES.find(([name]) => name === query.age)?.[2] ?? 0;
  const chosen = [...models.values()]
    .filter((m) => query.machine === '' || m.id === query.machine)
    .flatMap((m) => (query.state === '' ? m.resting : leavesOf(m, query.state)).map((node) => ({ m, node })))
    .filter(({ m, node }) => query.tier === '' || tierOf(m, node.id) === query.tier);
  const pairs = chosen.flatMap(({ m, node }) => {
    const budget = query.stuck ? node.meta.budgetMs : 0;
    if (budget === undefined) return [];
    const before = Math.max(age, budget) > 0 ? new Date(now - Math.max(age, budget)) : null;
    return [{ machine: m.id as string, state: node.id, before }];
  });
  return {
    pairs,
    stuck: query.stuck ? chosen.map(({ m, node }) => ({ machine: m.id, state: node.id })) : null,
    stateEnteredBefore: cursorOf(query.before),
    idPrefix: query.q === '' || !ID.test(query.q) ? null : query.q,
    limit: PAGE + 1,
  };
}

/** Everything that is stuck, whichever machine it is of. */
export const stuckFilter = (models: Models, now: number, limit: number): FlowFilter => ({
  ...filterOf({ machine: '', state: '', tier: '', age: '', stuck: true, q: '', before: '' }, models, now),
  limit,
});

/** Why a flow is stuck; empty when it is not. */
export function stuckReasons(item: FlowItem, models: Models, now: number): string[] {
  const node = models.get(item.machine as never)?.states.get(item.state);
  const timeInState = now - item.stateEnteredAt.getTime();
  const budget = node?.meta.budgetMs;
  const late = item.nextDueAt === null ? 0 : now - item.nextDueAt.getTime();
  return [
    item.status !== 'archived' && budget !== undefined && timeInState > budget
      ? `over ${duration(budget)}`
      : '',
    item.status === 'active' && late > GRACE_MS ? `timer ${duration(late)} late` : '',
    item.deadMessages ? 'dead letter' : '',
  ].filter(Boolean);
}

const option = (value: string, text: string, chosen: string): Html =>
  html`<option value="${value}"${value === chosen ? html` selected` : ''}>${text}</option>`;

function form(query: Query, models: Models): Html {
  const shown = [...models.values()].filter((m) => query.machine === '' || m.id === query.machine);
  return html`<form class="filters" method="get" action="/console/flows" role="search">
<label>Machine <select name="machine">${option('', 'all', query.machine)}${[...models.keys()].map((id) => option(id, id, query.machine))}</select></label>
<label>State <select name="state">${option('', 'all', query.state)}${shown.map(
    (m) =>
      html`<optgroup label="${m.id}">${m.graph.nodes
        .filter((n) => leavesOf(m, n.id).length > 0)
        .map((n) => option(n.id, n.id, query.state))}</optgroup>`,
  )}</select></label>
<label>Tier <select name="tier">${option('', 'all', query.tier)}${TIERS.map((t) => option(t, t, query.tier))}</select></label>
<label>Time in state <select name="age">${option('', 'any time', query.age)}${AGES.map(([v, t]) => option(v, `over ${t}`, query.age))}</select></label>
<label class="check"><input type="checkbox" name="stuck" value="1"${query.stuck ? html` checked` : ''}> stuck only</label>
<label class="grow">Id <input type="search" name="q" value="${query.q}" placeholder="flow or account id, or its beginning" autocomplete="off" spellcheck="false" maxlength="36"></label>
<button class="primary">Filter</button> <a class="quiet" href="/console/flows">Reset</a>
</form>`;
}

export const stateChip = (models: Models, machine: string, state: string): Html => {
  const model = models.get(machine as never);
  const node = model?.states.get(state);
  const kind = node?.tags.includes('denied') ? 'denied' : node?.tags.includes('granted') ? 'granted' : '';
  const tier = model ? tierOf(model, state) : null;
  return html`<span class="state-chip ${tier ? `tier-${tier}` : ''} ${kind}" title="${labelOf(model, state)}">${state}</span>`;
};

function row(item: FlowItem, models: Models, now: number): Html {
  const reasons = stuckReasons(item, models, now);
  return html`<tr data-flow="${item.id}"><td><a class="mono" href="/console/flows/${item.id}" title="${item.id}">${shortId(item.id)}</a></td>
<td>${item.machine} <small class="muted">v${item.machineVersion}</small></td>
<td>${stateChip(models, item.machine, item.state)}${item.status === 'quarantined' || item.status === 'archived' ? html` <small class="muted">${item.status}</small>` : ''}</td>
<td class="num">${duration(now - item.stateEnteredAt.getTime())}</td>
<td class="num">${item.version}</td>
<td><time datetime="${item.createdAt.toISOString()}">${stamp(item.createdAt)}</time></td>
<td>${reasons.map((reason) => html`<span class="flag">${reason}</span> `)}</td></tr>`;
}

export function flowsPage(app: FastifyInstance, c: Console): void {
  app.get('/console/flows', async (request, reply) => {
    const query = queryOf(request.query);
    const now = c.s.clock.now();
    const filter = filterOf(query, c.models, now);
    const refused = query.q !== '' && filter.idPrefix === null;
    const found =
      refused || filter.pairs.length + (filter.stuck?.length ?? 0) === 0
        ? []
        : await c.store.list(filter, new Date(now));
    const items = found.slice(0, PAGE);
    const last = items.at(-1);
    const here = new URLSearchParams(
      Object.entries({ ...query, stuck: query.stuck ? '1' : '', before: '' }).filter(([, v]) => v !== '') as [
        string,
        string,
      ][],
    );
    const older = new URLSearchParams(here);
    if (last) older.set('before', `${last.stateEnteredAt.getTime()}_${last.id}`);
    const body = html`<section class="card wide"><header><h1>Flows</h1><p class="muted">Most recently updated first · times in UTC</p></header>
${form(query, c.models)}
${refused ? html`<p class="notice">An id consists of the digits 0–9 and a–f; enter at least its first four.</p>` : ''}
<div class="scroll"><table class="list" data-live="list"><thead><tr><th>Flow</th><th>Machine</th><th>State</th><th class="num">Time in state</th><th class="num">Steps</th><th>Started</th><th>Stuck</th></tr></thead>
<tbody>${items.map((item) => row(item, c.models, now))}</tbody></table></div>
${items.length === 0 ? html`<p class="empty">No flow matches.</p>` : ''}
<footer class="pager">${query.before ? html`<a href="/console/flows?${here.toString()}">Newest</a>` : ''}<span class="fill"></span>${found.length > PAGE ? html`<a rel="next" href="/console/flows?${older.toString()}">Older →</a>` : ''}</footer>
</section>`;
    return c.send(request, reply, { title: 'Flows', at: '/console/flows', body });
  });
}
