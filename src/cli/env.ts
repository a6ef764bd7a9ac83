/** Writes `.env.example` and the README's configuration table from the declarations; with `--check` only compares. */
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { configurationTable, envExample } from '../config/document.ts';

const BEGIN = '<!-- configuration:begin -->';
const END = '<!-- configuration:end -->';

/** The README with a fresh table between its markers; unchanged when it has none. */
export function withTable(readme: string): string {
  const [begin, end] = [readme.indexOf(BEGIN), readme.indexOf(END)];
  if (begin < 0 || end < begin) return readme;
  return `${readme.slice(0, begin + BEGIN.length)}\n\n${configurationTable()}\n${readme.slice(end)}`;
}

const readmePath = new URL('../../README.md', import.meta.url);
const examplePath = new URL('../../.env.example', import.meta.url);
const current = (path: URL): string => (existsSync(path) ? readFileSync(path, 'utf8') : '');

if (import.meta.main) {
  const wanted: [URL, string][] = [[examplePath, envExample()]];
  if (existsSync(readmePath)) wanted.push([readmePath, withTable(current(readmePath))]);
  const stale = wanted.filter(([path, text]) => current(path) !== text);
  for (const [path, text] of stale) {
    const name = path.pathname.split('/').at(-1);
    if (process.argv.includes('--check')) {
      console.error(`${name} does not match the configuration; run \`npm run env\``);
      process.exitCode = 1;
    } else {
      writeFileSync(path, text);
      console.log(`wrote ${name}`);
    }
  }
}
