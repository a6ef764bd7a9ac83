/** HTML as a tagged template: every value is escaped unless it is HTML already. The only way text enters a page. */
import { escapeHtml as escapeEntities } from '../../kernel/html.ts';

/** Markup that is known to be safe. */
export class Html {
  readonly text: string;
  constructor(text: string) {
    this.text = text;
  }
  toString(): string {
    return this.text;
  }
}

export type Part = Html | string | number | null | undefined | false | readonly Part[];

/** Safe inside elements and inside quoted attributes; control characters that HTML forbids become U+FFFD. */
export const escapeHtml = (text: string): string =>
  escapeEntities(text)
    // biome-ignore lint/suspicious/noControlCharactersInRegex: exactly these are meant
    .replace(/[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f]/g, '\ufffd');

function render(part: Part): string {
  if (part === null || part === undefined || part === false) return '';
  if (part instanceof Html) return part.text;
  if (typeof part === 'object') return part.map(render).join('');
  return escapeHtml(String(part));
}

/** Attributes must be quoted: `<a href="${url}">`. */
export const html = (strings: TemplateStringsArray, ...parts: Part[]): Html =>
  new Html(strings.map((text, i) => (i === 0 ? text : render(parts[i - 1]) + text)).join(''));

/** Only for markup made here: the committed diagrams. */
export const trusted = (markup: string): Html => new Html(markup);
