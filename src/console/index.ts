/**
 * The developer console: pages that show what the machines do. It reads; the few things it starts go through the API
 * like anybody's request. Register it only when it is enabled: it has no switch of its own.
 */
import type { FastifyInstance } from 'fastify';
import type { FlowStatsStore } from '../../db/flow-stats.ts';
import { createReportStore } from '../../db/reports.ts';
import { outageProblem } from '../http/outage.ts';
import { problemFrom } from '../http/problem-from-error.ts';
import type { Services } from '../http/services.ts';
import { assets } from './assets.ts';
import { createConsole, Problem } from './kit/context.ts';
import { createDemoFlows, demoRoutes } from './kit/demo.ts';
import { createGuard } from './kit/guard.ts';
import { html } from './kit/html.ts';
import { loadModels } from './kit/model.ts';
import { type LiveFeed, liveRoute } from './live.ts';
import { loginRoutes } from './login.ts';
import { flowPage } from './pages/flow.ts';
import { flowsPage } from './pages/flows.ts';
import { funnelPage } from './pages/funnel.ts';
import { inboxPage } from './pages/inbox.ts';
import { machinesPage } from './pages/machines.ts';
import { mailPage } from './pages/mail.ts';
import { whatIfPage } from './pages/what-if.ts';

const MAX_FORM_BYTES = 4096;

export const consolePlugin =
  (s: Services, feed: LiveFeed, stats: FlowStatsStore) =>
  async (parent: FastifyInstance): Promise<void> => {
    const models = await loadModels();
    const guard = createGuard(s);
    const c = createConsole({ s, store: createReportStore(s.db), stats, models, guard });
    await parent.register(async (app) => {
      // Pages and forms: none of it belongs into the description of the API.
      app.addHook('onRoute', (route) => {
        route.schema = { ...route.schema, hide: true } as never;
      });
      guard.install(app);
      app.addContentTypeParser(
        'application/x-www-form-urlencoded',
        { parseAs: 'string', bodyLimit: MAX_FORM_BYTES },
        async (_request: unknown, text: string) => Object.fromEntries(new URLSearchParams(text)),
      );
      app.setErrorHandler((thrown, request, reply) => {
        const problem = problemFrom(thrown, request, undefined, outageProblem);
        if (problem.status >= 500) request.log.error({ err: problem.cause ?? problem }, problem.title);
        reply.headers({ ...problem.extras.headers });
        if (problem.extras.retryAfter) reply.header('retry-after', problem.extras.retryAfter);
        if (guard.needsLogin && !guard.signedIn(request)) {
          return reply.code(problem.status).type('text/plain; charset=utf-8').send(problem.title);
        }
        const body = html`<section class="card"><h1>${problem.status} · ${problem.title}</h1><p>${problem.extras.detail ?? ''}</p><p><a href="/console">Back to the machines</a></p></section>`;
        return c.send(request, reply, { title: problem.title, at: '', body }, problem.status);
      });
      assets(app);
      machinesPage(app, c);
      flowsPage(app, c);
      funnelPage(app, c);
      mailPage(app, c);
      liveRoute(app, c, feed);
      loginRoutes(app, c);
      const demo = s.config.demo && guard.demoTools ? createDemoFlows(parent, s.actions) : null;
      if (demo) demoRoutes(app, c, demo);
      flowPage(app, c, demo);
      whatIfPage(app, c);
      if (s.inbox && guard.demoTools) inboxPage(app, c, s.inbox);
    });
  };

export { Problem };
