/** The committed pictures for a live page, read from docs/diagrams: no layout engine at run time. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';

export const DIAGRAMS = join(import.meta.dirname, '..', '..', 'docs', 'diagrams');

/**
 * The class-only SVG of a machine (or `overview`), to be put into a page that links `console.css`; null when there is
 * none. State groups carry `data-state`, transitions `data-edge` with their keys; an id appears once per page.
 */
export async function inlineSvg(id: string, dir: string = DIAGRAMS): Promise<string | null> {
  if (!/^[a-z][\w-]*$/i.test(id)) return null;
  return readFile(join(dir, `${id}.inline.svg`), 'utf8').catch(() => null);
}

export { consoleCss } from './theme.ts';
