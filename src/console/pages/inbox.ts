/** /console/inbox: what the demo "sent", newest first. Text stays text; HTML mail is shown in a frame that runs nothing. */
import type { FastifyInstance } from 'fastify';
import { validate } from 'uuid';
import type { Inbox, InboxEntry } from '../../adapters/inbox.ts';
import { type Console, Problem } from '../kit/context.ts';
import { stamp } from '../kit/format.ts';
import { type Html, html } from '../kit/html.ts';
import { MAIL_POLICY } from './mail.ts';

const SHOWN = 25;

/** Ids are those of the outbox, `flow:version:index`. */
const flowOf = (id: string): string | null => {
  const flow = id.split(':')[0] ?? '';
  return validate(flow) ? flow : null;
};

function message(e: InboxEntry): Html {
  const flow = flowOf(e.id);
  return html`<li class="message"><header><span class="state-chip">${e.channel}</span> <b>${e.to}</b> <time class="muted" datetime="${new Date(e.at).toISOString()}">${stamp(e.at)}</time><span class="fill"></span>${flow ? html`<a href="/console/flows/${flow}">View flow</a>` : ''}</header>
${e.code ? html`<p class="code"><output>${e.code}</output><button type="button" data-copy="${e.code}" hidden>Copy</button></p>` : ''}
${e.subject ? html`<p class="subject"><b>${e.subject}</b></p>` : ''}<pre>${e.text}</pre>
${e.html === undefined ? '' : html`<details><summary>As HTML</summary><iframe sandbox="" loading="lazy" referrerpolicy="no-referrer" title="The message as HTML" src="/console/inbox/${encodeURIComponent(e.id)}/html"></iframe></details>`}</li>`;
}

export function inboxPage(app: FastifyInstance, c: Console, inbox: Inbox): void {
  app.get('/console/inbox', async (request, reply) => {
    const given = (request.query as { to?: unknown }).to;
    // A plus sign that was not encoded arrives as a space.
    const to = typeof given === 'string' ? given.slice(0, 254).replace(/^ /, '+').trim() : '';
    const entries = await inbox.list({ limit: SHOWN, ...(to === '' ? {} : { to }) });
    const body = html`<section class="card wide"><header><h1>Inbox</h1><p class="muted">SMS and mail of this process; nothing is really sent · <a href="/dev/inbox">as JSON</a></p></header>
<form class="filters" method="get" action="/console/inbox" role="search"><label class="grow">To <input type="search" name="to" value="${to}" placeholder="+1 555 555 1234 or an address" autocomplete="off" spellcheck="false"></label><button class="primary">Filter</button> <a class="quiet" href="/console/inbox">Reset</a></form>
<ol class="messages" id="messages" data-live="inbox">${entries.map(message)}</ol>${entries.length === 0 ? html`<p class="empty">No message yet.</p>` : ''}</section>`;
    return c.send(request, reply, { title: 'Inbox', at: '/console/inbox', body, scripts: ['copy.js'] });
  });

  app.get('/console/inbox/:id/html', async (request, reply) => {
    const { id } = request.params as { id: string };
    const entry = (await inbox.list()).find((e) => e.id === id);
    if (entry?.html === undefined) throw new Problem('not_found');
    return reply
      .header('content-security-policy', MAIL_POLICY)
      .type('text/html; charset=utf-8')
      .send(entry.html);
  });
}
