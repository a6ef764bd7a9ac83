/** /console/mail: every mail template with made-up data, as text and as HTML in a frame that runs nothing. */
import type { FastifyInstance } from 'fastify';
import { mailSamples } from '../../features/notices/samples.ts';
import { type Console, Problem } from '../kit/context.ts';
import { html } from '../kit/html.ts';

/** The letter's own document: styles of its own, no script, no request, an origin of its own. */
export const MAIL_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'self'";

export function mailPage(app: FastifyInstance, c: Console): void {
  const { appName, frontendUrl } = c.s.config;
  const samples = mailSamples({ appName, frontendUrl });

  app.get('/console/mail', (request, reply) => {
    const body = html`<section class="card wide"><header><h1>Mail templates</h1><p class="muted">With made-up data; as a deployment with this configuration would send them</p></header>
<ol class="messages">${samples.map(
      ({ template, description, content }) =>
        html`<li class="message" id="${template}"><header><span class="state-chip">${template}</span> <b>${content.subject}</b> <span class="muted">${description}</span></header>
<div class="letters"><pre>${content.text}</pre><iframe sandbox="" loading="lazy" referrerpolicy="no-referrer" title="${template} as HTML" src="/console/mail/${template}/html"></iframe></div></li>`,
    )}</ol></section>`;
    return c.send(request, reply, { title: 'Mail', at: '/console/mail', body });
  });

  app.get('/console/mail/:template/html', (request, reply) => {
    const { template } = request.params as { template: string };
    const sample = samples.find((s) => s.template === template);
    if (!sample) throw new Problem('not_found');
    return reply
      .header('content-security-policy', MAIL_POLICY)
      .type('text/html; charset=utf-8')
      .send(sample.content.html);
  });
}
