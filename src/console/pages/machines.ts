/** /console: one machine's picture with a count on every state, and what there is in total. */
import type { FastifyInstance } from 'fastify';
import { isMachineId, type MachineId } from '../../../machines/index.ts';
import type { Console } from '../kit/context.ts';
import { picture } from '../kit/diagram.ts';
import { count } from '../kit/format.ts';
import { type Html, html } from '../kit/html.ts';
import { leavesOf, type Model, type Models, tierOf } from '../kit/model.ts';
import { stuckFilter } from './flows.ts';

/** Counting stops here; the list shows the rest. */
const MANY_STUCK = 99;

type Counts = Map<string, { n: number; capped: boolean }>;

export const allPairs = (models: Models) =>
  [...models.values()].flatMap((m) => m.resting.map((n) => ({ machine: m.id, state: n.id })));

/** Counted exactly up to a bound; beyond it by the funnel's counts, which may be seconds behind. */
async function countsOf(c: Console): Promise<Counts> {
  const counts = await c.store.counts(allPairs(c.models));
  if (![...counts.values()].some((n) => n.capped)) return counts;
  const totals = await c.stats.totals();
  return new Map(
    [...counts].map(([key, { n, capped }]) => {
      const total = totals.get(key) ?? 0;
      return [key, capped && total >= n ? { n: total, capped: false } : { n, capped }];
    }),
  );
}

const shown = ({ n, capped }: { n: number; capped: boolean }): string => (capped ? `${count(n)}+` : count(n));

/** A state's own count, or the sum over the states inside it. */
export function countOf(model: Model, state: string, counts: Counts): { n: number; capped: boolean } {
  const own = leavesOf(model, state).map((n) => counts.get(`${model.id}:${n.id}`) ?? { n: 0, capped: false });
  return { n: own.reduce((sum, c) => sum + c.n, 0), capped: own.some((c) => c.capped) };
}

export const flowsOf = (machine: string, state: string): string =>
  `/console/flows?machine=${encodeURIComponent(machine)}&state=${encodeURIComponent(state)}`;

/** Badges of a machine: text per state, empty where no flow is. */
export const badges = (model: Model, counts: Counts): Record<string, string> =>
  Object.fromEntries(
    model.graph.nodes
      .filter((n) => leavesOf(model, n.id).length > 0)
      .map((n) => [n.id, countOf(model, n.id, counts)] as const)
      .map(([id, c]) => [id, c.n === 0 ? '' : shown(c)]),
  );

function tiles(models: Models, counts: Counts, stuck: number): Html {
  const total = (model: Model | undefined, wanted: (state: string) => boolean) => {
    const own = (model?.resting ?? []).filter((n) => wanted(n.id));
    const all = own.map((n) => counts.get(`${model?.id}:${n.id}`) ?? { n: 0, capped: false });
    return shown({ n: all.reduce((sum, c) => sum + c.n, 0), capped: all.some((c) => c.capped) });
  };
  const signup = models.get('signup');
  const tier = (name: string) => total(signup, (state) => !!signup && tierOf(signup, state) === name);
  const tile = (href: string, name: string, value: string, hint: string, cls = '') =>
    html`<a class="tile ${cls}" href="${href}"><span>${name}</span><b data-tile="${name}">${value}</b><small>${hint}</small></a>`;
  return html`<section class="tiles" aria-label="Overview">
${tile('/console/flows?machine=signup&tier=UNVERIFIED', 'UNVERIFIED', tier('UNVERIFIED'), 'sign-up in progress', 'tier-UNVERIFIED')}
${tile('/console/flows?machine=signup&tier=LIMITED', 'LIMITED', tier('LIMITED'), 'signed up, KYC open', 'tier-LIMITED')}
${tile('/console/flows?machine=signup&tier=FULL', 'FULL', tier('FULL'), 'verified', 'tier-FULL')}
${tile(
  '/console/flows?machine=login',
  'Logins',
  total(models.get('login'), () => true),
  'finished or waiting for a step-up',
)}
${tile('/console/flows?stuck=1', 'Stuck', stuck > MANY_STUCK ? `${MANY_STUCK}+` : count(stuck), 'over time limit, late timer or dead letter')}
</section>`;
}

export const tabs = (models: Models, at: string, path: string): Html =>
  html`<nav class="tabs" aria-label="Machines">${[...models.keys()].map(
    (id) => html`<a href="${path}?machine=${id}"${id === at ? html` aria-current="page"` : ''}>${id}</a>`,
  )}</nav>`;

export const legend = html`<ul class="legend"><li class="tier-UNVERIFIED">UNVERIFIED</li><li class="tier-LIMITED">LIMITED</li><li class="tier-FULL">FULL</li><li class="dashed">passed through at once</li><li class="double">final</li></ul>`;

export function machinesPage(app: FastifyInstance, c: Console): void {
  const machineOf = (query: unknown): MachineId => {
    const { machine } = query as { machine?: unknown };
    return typeof machine === 'string' && isMachineId(machine) ? machine : 'signup';
  };

  app.get('/console', async (request, reply) => {
    const id = machineOf(request.query);
    const model = c.models.get(id)!;
    const now = c.s.clock.now();
    const [counts, stuck] = await Promise.all([
      countsOf(c),
      c.store.list(stuckFilter(c.models, now, MANY_STUCK + 1), new Date(now)),
    ]);
    const badge = badges(model, counts);
    const body = html`${tiles(c.models, counts, stuck.length)}
<section class="card wide">
<header><h1>${tabs(c.models, id, '/console')}</h1><p class="muted">version ${model.version} · ${model.resting.length} states · ${model.graph.edges.length} transitions · click a state for its flows</p>
${c.s.config.demo ? html`<form method="post" action="/console/demo"><input type="hidden" name="form" value="${c.guard.formToken}"><button class="primary">Start a demo flow</button></form>` : ''}</header>
<div class="picture" data-live="machine" data-machine-id="${id}">${picture(model, { badge: (s) => badge[s] ?? null, link: (s) => (badge[s] === undefined ? null : flowsOf(id, s)) })}</div>
${legend}
</section>
<section class="card wide" aria-labelledby="news"><header><h2 id="news">Just now</h2><p class="muted">Steps of all flows as they are committed</p></header><ol class="ticker" id="ticker"><li class="muted">Nothing yet: steps appear here while this page is open.</li></ol></section>`;
    return c.send(request, reply, { title: 'Machines', at: '/console', body });
  });

  app.get('/console/counts.json', async (request) => {
    const id = machineOf(request.query);
    return { badges: badges(c.models.get(id)!, await countsOf(c)) };
  });
}
