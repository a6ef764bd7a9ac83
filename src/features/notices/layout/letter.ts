/**
 * The one shape every mail has: plain sentences, at most one code and one link. Only this file writes HTML, and it
 * escapes everything it is given; a template must never build markup itself.
 */
export type MailContent = { subject: string; text: string; html: string };

/** What every notice of a change is made of. `at`: when it happened. */
export type Notice = { appName: string; name: string | null; at: Date; frontendUrl: string };

export type Letter = {
  /** The product's name, as configured. */
  appName: string;
  subject: string;
  /** The person's own name for a greeting. Never for an address that nobody has proven: it could be a message. */
  name?: string | null;
  lines: string[];
  code?: string;
  link?: { label: string; href: string };
  /** What to do when the mail was not expected. */
  closing: string;
};

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

/** Safe as text and inside a quoted attribute. */
export const escapeHtml = (text: string): string => text.replace(/[&<>"']/g, (c) => ENTITIES[c] as string);

/** One line without control, direction and other invisible characters, and short enough not to carry a message. */
const plain = (text: string, most: number): string =>
  text
    .replace(/[\p{C}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim()
    .slice(0, most)
    .toWellFormed();

const MAX_NAME = 64;
const MAX_LINE = 500;
const INK = 'font:16px/1.5 system-ui,sans-serif;color:#1c1e21';

/** @throws Error for a link that is not http(s): links come from the configuration, so this is a mistake of ours. */
export function renderLetter(letter: Letter): MailContent {
  const { code } = letter;
  const lines = letter.lines.map((line) => plain(line, MAX_LINE));
  const closing = plain(letter.closing, MAX_LINE);
  const link = letter.link && { ...letter.link, label: plain(letter.link.label, MAX_LINE) };
  if (link && !/^https?:\/\//.test(link.href)) throw new Error('A mail may only link to http or https');
  const app = plain(letter.appName, MAX_NAME);
  // A name with an address in it would become a link in most mail programs.
  const given = plain(letter.name ?? '', MAX_NAME);
  const greeting = given === '' || /[./:@\\]/.test(given) ? 'Hello,' : `Hello ${given},`;

  const text = [
    greeting,
    ...lines,
    ...(code === undefined ? [] : [`    ${code}`]),
    ...(link ? [`${link.label}:\n${link.href}`] : []),
    closing,
    `-- \n${app}`,
  ].join('\n\n');

  const p = (inner: string, style = '') => `<p${style && ` style="${style}"`}>${inner}</p>`;
  const body = [
    p(escapeHtml(greeting)),
    ...lines.map((line) => p(escapeHtml(line))),
    ...(code === undefined
      ? []
      : [p(escapeHtml(code), 'font:600 32px/1.25 ui-monospace,monospace;letter-spacing:6px')]),
    ...(link
      ? [
          p(
            `<a href="${escapeHtml(link.href)}" style="display:inline-block;padding:10px 18px;border-radius:6px;background:#1f5fbf;color:#ffffff;text-decoration:none">${escapeHtml(link.label)}</a>`,
          ),
          p(escapeHtml(link.href), 'font-size:13px;color:#5a6068;word-break:break-all'),
        ]
      : []),
    p(escapeHtml(closing), 'font-size:14px;color:#5a6068'),
  ].join('\n');
  const html = `<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>${escapeHtml(plain(letter.subject, 200))}</title></head>
<body style="margin:0;padding:24px;background:#f4f5f7">
<div style="max-width:520px;margin:0 auto;padding:24px;border-radius:8px;background:#ffffff;${INK}">
<p style="font-weight:600">${escapeHtml(app)}</p>
${body}
</div>
</body>
</html>
`;
  return { subject: plain(letter.subject, 200), text: `${text}\n`, html };
}
