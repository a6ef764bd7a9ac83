/** The demo's inbox. Registered only while nothing is really delivered; never in production. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import type { Inbox } from '../../adapters/inbox.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import { Problem } from '../../kernel/problems.ts';

const query = z.strictObject({
  to: z.string().max(254).optional(),
  channel: z.enum(['sms', 'mail']).optional(),
  limit: z.coerce.number().int().min(1).max(100).default(20),
});

const answer = z.object({
  messages: z.array(
    z.object({
      id: z.string(),
      at: z.string(),
      channel: z.string(),
      to: z.string(),
      subject: z.string().nullable(),
      text: z.string(),
      code: z.string().nullable(),
    }),
  ),
});

export const devRoutes =
  (inbox: Inbox): FastifyPluginAsyncZod =>
  async (app) => {
    const filterOf = (q: z.infer<typeof query>) => ({
      limit: q.limit,
      ...(q.to === undefined ? {} : { to: q.to.replace(/^ /, '+') }),
      ...(q.channel === undefined ? {} : { channel: q.channel }),
    });
    for (const path of ['/dev/inbox', '/dev/inbox/latest']) {
      app.get(
        path,
        {
          schema: {
            summary: 'Messages the local adapters took; only the newest code with `Accept: text/plain`',
            tags: ['Development'],
            security: [],
            querystring: query,
            response: { 200: answer, ...problemsFor(400, 404) },
          },
        },
        async (request, reply) => {
          const entries = await inbox.list(filterOf(request.query));
          if (request.headers.accept?.includes('text/plain')) {
            const code = entries.find((e) => e.code)?.code;
            if (!code) throw new Problem('not_found');
            reply.type('text/plain; charset=utf-8').serializer((text: unknown) => String(text));
            return code as never;
          }
          const shown = path.endsWith('latest') ? entries.slice(0, 1) : entries;
          return {
            messages: shown.map((e) => ({
              id: e.id,
              at: new Date(e.at).toISOString(),
              channel: e.channel,
              to: e.to,
              subject: e.subject ?? null,
              text: e.text,
              code: e.code ?? null,
            })),
          };
        },
      );
    }
  };
