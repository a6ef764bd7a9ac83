/** What the pages of the console are given: stores, machines, the guard, and how a page is sent. */
import { gzipSync } from 'node:zlib';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FlowStatsStore } from '../../../db/flow-stats.ts';
import { type Health, NO_HEALTH, type ReportStore } from '../../../db/reports.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import type { Guard } from './guard.ts';
import { layout, type Page } from './layout.ts';
import type { Models } from './model.ts';

export type Console = {
  s: Services;
  store: ReportStore;
  stats: FlowStatsStore;
  models: Models;
  guard: Guard;
  send(request: FastifyRequest, reply: FastifyReply, page: Page, status?: number): Promise<FastifyReply>;
};

export { Problem };

/** The strip is part of every page: a page about a database that is away must still come. */
async function healthOf(store: ReportStore, now: number): Promise<Health> {
  return store.health(new Date(now)).catch(() => NO_HEALTH);
}

export function createConsole(parts: Omit<Console, 'send'>): Console {
  const { s, store, guard } = parts;
  const redis = () => (s.config.redis.url === null ? 'none' : s.redis?.health().up ? 'ok' : 'away');
  return {
    ...parts,
    async send(request, reply, page, status = 200) {
      const signedIn = guard.needsLogin && guard.signedIn(request);
      const frame = {
        health: await healthOf(store, s.clock.now()),
        redis: redis() as 'none' | 'ok' | 'away',
        alarms: s.limits.alarms(),
        demoTools: guard.demoTools,
        docs: s.config.docs.enabled,
        demo: s.config.demo,
        signedIn,
        formToken: guard.formToken,
      };
      const text = layout(frame, page).text;
      reply.code(status).type('text/html; charset=utf-8').header('vary', 'accept-encoding');
      // A picture is text that shrinks to a sixth.
      if (!/\bgzip\b/.test(request.headers['accept-encoding'] ?? '')) return reply.send(text);
      return reply.header('content-encoding', 'gzip').send(gzipSync(text, { level: 6 }));
    },
  };
}
