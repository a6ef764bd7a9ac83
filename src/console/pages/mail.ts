/** /console/mail: every mail with sample data, in each language, as text and as HTML in a frame that runs nothing. */
import type { FastifyInstance } from 'fastify';
import { createMails } from '../../features/notices/mails.ts';
import { mailSamples } from '../../features/notices/samples.ts';
import { loadTexts } from '../../features/notices/texts/catalogue.ts';
import { type Console, Problem } from '../kit/context.ts';
import { html } from '../kit/html.ts';

/** The letter's own document: styles of its own, no script, no request, an origin of its own. */
export const MAIL_POLICY =
  "default-src 'none'; style-src 'unsafe-inline'; img-src data:; sandbox; frame-ancestors 'self'";

export function mailPage(app: FastifyInstance, c: Console): void {
  const { config } = c.s;
  const { frontendUrl } = config;
  const texts = loadTexts(config);
  const mails = createMails({ ...config.brand, frontendUrl });

  /** Of the language that the query names, else of DEFAULT_LOCALE. */
  const shown = (query: unknown) => {
    const { language = '' } = query as { language?: string };
    if (language !== '' && !texts.languages.includes(language)) throw new Problem('not_found');
    const wording = texts.for({ locale: language || null, timezone: null, language: null });
    return { language, samples: mailSamples(mails, wording, frontendUrl) };
  };

  app.get('/console/mail', (request, reply) => {
    const { language: chosen, samples } = shown(request.query);
    const body = html`<section class="card wide"><header><h1>Mail templates</h1><p class="muted">Each mail as this configuration sends it, with sample data</p>
<p>${texts.languages.map((language) => html`<a class="state-chip" href="/console/mail?language=${language}" hreflang="${language}">${language}</a> `)}</p></header>
<ol class="messages">${samples.map(
      ({ template, description, content }) =>
        html`<li class="message" id="${template}"><header><span class="state-chip">${template}</span> <b dir="auto">${content.subject}</b> <span class="muted">${description}</span></header>
<div class="letters"><pre dir="auto">${content.text}</pre><iframe sandbox="" loading="lazy" referrerpolicy="no-referrer" title="${template} as HTML" src="/console/mail/${template}/html?language=${chosen}"></iframe></div></li>`,
    )}</ol></section>`;
    return c.send(request, reply, { title: 'Mail', at: '/console/mail', body });
  });

  app.get('/console/mail/:template/html', (request, reply) => {
    const { template } = request.params as { template: string };
    const sample = shown(request.query).samples.find((s) => s.template === template);
    if (!sample) throw new Problem('not_found');
    return reply
      .header('content-security-policy', MAIL_POLICY)
      .type('text/html; charset=utf-8')
      .send(sample.content.html);
  });
}
