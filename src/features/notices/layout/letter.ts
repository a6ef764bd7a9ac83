/**
 * The one shape every mail has: plain sentences, at most one code and one link. Only this file writes HTML, and it
 * escapes everything it is given; a text must never bring markup of its own.
 */
import { escapeHtml } from '../../../kernel/html.ts';
import type { Wording } from '../texts/catalogue.ts';
import { plain } from '../texts/plain.ts';

export type MailContent = { subject: string; text: string; html: string };

/** How mails look. `color`: `#rrggbb`; `logoUrl`: an image beside the name, or null. */
export type Brand = { color: string; logoUrl: string | null };

export type Letter = {
  subject: string;
  /** The person's own name for a greeting. Never for an unproven address: the name could be a message. */
  name?: string | null;
  lines: string[];
  code?: string | undefined;
  link?: { label: string; href: string } | undefined;
  /** What to do when the mail was not expected. */
  closing: string;
};

const MAX_NAME = 64;
const MAX_SUBJECT = 200;

/** Black or white, whichever contrasts more (WCAG 2 relative luminance). */
export function inkOn(color: string): '#000000' | '#ffffff' {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5]
    .map((at) => Number.parseInt(color.slice(at, at + 2), 16) / 255)
    .map((part) => (part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4));
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179 ? '#000000' : '#ffffff';
}

/** For programs that know no `prefers-color-scheme` the light colours stand on the elements themselves. */
const DARK = `@media (prefers-color-scheme: dark) {
.page { background: #14161a !important; }
.card { background: #1f2329 !important; color: #eceef1 !important; }
.quiet { color: #b4bac2 !important; }
}`;

/** @throws Error for a link that is not http(s): links come from the configuration, so this is a mistake of ours. */
export function renderLetter(letter: Letter, wording: Wording, brand: Brand): MailContent {
  const { lines, code, link, closing } = letter;
  const { app, language, direction, say } = wording;
  if (link && !/^https?:\/\//.test(link.href)) throw new Error('A mail may only link to http or https');
  // A name with an address in it would become a link in most mail programs.
  const name = plain(letter.name ?? '', MAX_NAME);
  const greeting =
    name === '' || /[./:@\\]/.test(name) ? say('greeting.plain') : say('greeting.named', { name });
  const subject = letter.subject.slice(0, MAX_SUBJECT);

  const text = [
    greeting,
    ...lines,
    ...(code === undefined ? [] : [`    ${code}`]),
    ...(link ? [`${link.label}:\n${link.href}`] : []),
    closing,
    `-- \n${app}`,
  ].join('\n\n');

  const p = (inner: string, style = '', kind = '') =>
    `<p${kind && ` class="${kind}"`}${style && ` style="${style}"`}>${inner}</p>`;
  const href = link && escapeHtml(link.href);
  const body = [
    p(escapeHtml(greeting)),
    ...lines.map((line) => p(escapeHtml(line))),
    ...(code === undefined
      ? []
      : [
          p(
            `<span dir="ltr">${escapeHtml(code)}</span>`,
            'font:600 32px/1.25 ui-monospace,monospace;letter-spacing:6px',
          ),
        ]),
    ...(link
      ? [
          p(
            `<a href="${href}" style="display:inline-block;padding:10px 18px;border-radius:6px;background:${brand.color};color:${inkOn(brand.color)};text-decoration:none">${escapeHtml(link.label)}</a>`,
          ),
          p(`<span dir="ltr">${href}</span>`, 'font-size:13px;color:#5a6068;word-break:break-all', 'quiet'),
        ]
      : []),
    p(escapeHtml(closing), 'font-size:14px;color:#5a6068', 'quiet'),
  ].join('\n');
  const logo =
    brand.logoUrl === null
      ? ''
      : `<img src="${escapeHtml(brand.logoUrl)}" alt="" height="32" style="vertical-align:middle;margin-inline-end:10px">`;
  const html = `<!doctype html>
<html lang="${language}" dir="${direction}">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><meta name="color-scheme" content="light dark"><title>${escapeHtml(subject)}</title>
<style>${DARK}</style></head>
<body class="page" dir="${direction}" style="margin:0;padding:24px;background:#f4f5f7">
<div class="card" dir="${direction}" style="max-width:520px;margin:0 auto;padding:24px;border-radius:8px;background:#ffffff;font:16px/1.5 system-ui,sans-serif;color:#1c1e21">
<p style="font-weight:600">${logo}${escapeHtml(app)}</p>
${body}
</div>
</body>
</html>
`;
  return { subject, text: `${text}\n`, html };
}
