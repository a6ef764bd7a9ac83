/** Puts facts on the committed pictures: counts, links, a flow's path, heat. Text in, text out; it lays nothing out. */
import { escapeHtml, type Html, trusted } from './html.ts';
import type { Model } from './model.ts';

const STATE =
  /<g class="(state[^"]*)" data-state="([^"]*)"><title>(.*?)<\/title><rect x="([\d.]+)" y="([\d.]+)" width="([\d.]+)" height="([\d.]+)"/g;
const EDGE = /class="((?:edge|mono stay)[^"]*)" data-edge="([^"]*)"/g;

export type Marks = {
  /** Classes of a state, besides its own. */
  state?: (id: string) => string;
  edge?: (key: string) => string;
  /** Small text at the state's upper right corner; null for none. */
  badge?: (id: string) => string | null;
  /** Where a click on the state leads. */
  link?: (id: string) => string | null;
  /** Without the sentences of the transitions, which make a third of the picture. */
  brief?: boolean;
};

/** Only numeric character references are used in the pictures. */
const decode = (text: string): string =>
  text.replace(/&#(\d+);/g, (_, code: string) => String.fromCharCode(Number(code)));

/** A badge also stands where there is nothing yet to count: scripts fill it in. */
function badgeOf(id: string, text: string, right: number, top: number): string {
  const width = 13 + text.length * 6.6;
  const empty = text === '' ? ' is-empty' : '';
  const x = Math.round(right - width + 7);
  return `<g class="badge${empty}" data-badge="${escapeHtml(id)}" data-right="${right}"><rect x="${x}" y="${top - 9}" width="${width.toFixed(1)}" height="18" rx="9"/><text x="${(x + width / 2).toFixed(1)}" y="${top + 4}" text-anchor="middle">${escapeHtml(text)}</text></g>`;
}

export function picture(model: Model, marks: Marks): Html {
  const badges: string[] = [];
  const svg = model.svg
    .replace(/^(<g class="edge.*?>)<title>.*?<\/title>/gm, marks.brief ? '$1' : '$&')
    .split('\n')
    .map((line) => {
      let href: string | null = null;
      const marked = line
        .replace(STATE, (_all, classes, escaped, title, x, y, width, height) => {
          const id = decode(escaped);
          const text = marks.badge?.(id) ?? null;
          if (text !== null) badges.push(badgeOf(id, text, Number(x) + Number(width), Number(y)));
          href = marks.link?.(id) ?? null;
          const own = [classes, marks.state?.(id)].filter(Boolean).join(' ');
          return `<g class="${own}" data-state="${escaped}"><title>${title}</title><rect x="${x}" y="${y}" width="${width}" height="${height}"`;
        })
        .replace(EDGE, (all, classes, key) => {
          const more = marks.edge?.(decode(key));
          return more ? `class="${classes} ${more}" data-edge="${key}"` : all;
        });
      return href === null ? marked : `<a href="${escapeHtml(href)}">${marked}</a>`;
    })
    .join('\n')
    .replace('</svg>', () => `${badges.join('')}</svg>`);
  return trusted(svg);
}
