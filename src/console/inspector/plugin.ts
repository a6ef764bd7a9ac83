/**
 * A page that feeds the official XState viewer, which is somebody else's page in a frame. For developers on their own
 * machine: register it outside production only. It answers to loopback names and to pages of its own.
 */
import { readFileSync } from 'node:fs';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { hostOf } from '../../http/own-host.ts';
import { Problem } from '../../kernel/problems.ts';
import type { InspectorFeed } from './feed.ts';

const SCRIPT = readFileSync(new URL('./bridge.js', import.meta.url), 'utf8');
const LOOPBACK = new Set(['localhost', '127.0.0.1', '[::1]']);

const escaped = (text: string): string =>
  text.replaceAll('&', '&amp;').replaceAll('"', '&quot;').replaceAll('<', '&lt;');

const page = (viewer: string): string => `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<title>Inspector · Vestibule</title>
<script type="module" src="/dev/inspect.js"></script>
</head>
<body>
<p>The frame below shows a page of ${escaped(new URL(viewer).host)}, not of this service. This page sends it the states, events and counters of the flows in this process, but no personal data, code or address. Without internet, use <a href="/console">the console</a>.</p>
<iframe src="${escaped(viewer)}" title="XState inspector" width="100%" height="900" referrerpolicy="no-referrer" sandbox="allow-scripts allow-same-origin allow-forms allow-popups"></iframe>
</body>
</html>
`;

/** Names that resolve here by trickery, and other sites' pages, get nothing. */
async function onlyFromHere(request: FastifyRequest): Promise<void> {
  if (!LOOPBACK.has(hostOf(request))) throw new Problem('misdirected_request');
  const site = request.headers['sec-fetch-site'] ?? 'none';
  if (site !== 'same-origin' && site !== 'none') throw new Problem('foreign_origin');
}

export const inspectorBridge =
  (feed: InspectorFeed, viewer: string) =>
  async (app: FastifyInstance): Promise<void> => {
    const policy = [
      "default-src 'none'",
      "script-src 'self'",
      "connect-src 'self'",
      `frame-src ${new URL(viewer).origin}`,
      "frame-ancestors 'none'",
    ].join('; ');
    const hidden = { schema: { hide: true } };
    app.addHook('onRequest', onlyFromHere);
    // A stream never ends by itself.
    app.addHook('preClose', async () => feed.close());

    app.get('/dev/inspect', hidden, (_request, reply) =>
      reply.header('content-security-policy', policy).type('text/html; charset=utf-8').send(page(viewer)),
    );
    app.get('/dev/inspect.js', hidden, (_request, reply) =>
      reply.type('text/javascript; charset=utf-8').send(SCRIPT),
    );
    app.get('/dev/api/inspect', hidden, (request, reply) => {
      feed.room();
      reply.hijack();
      const { raw } = reply;
      raw.writeHead(200, {
        ...(reply.getHeaders() as Record<string, string>),
        'content-type': 'text/event-stream',
        'x-accel-buffering': 'no',
      });
      request.raw.socket.setTimeout(0);
      raw.write('retry: 1000\n\n');
      feed.join(raw, Number(request.headers['last-event-id']) || 0);
    });
  };
