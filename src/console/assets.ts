/** The console's files, read once: one style sheet, a few modules, an icon. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FastifyInstance } from 'fastify';
import { consoleCss } from '../diagrams/inline.ts';

const FOLDER = join(import.meta.dirname, 'assets');
const read = (name: string): string => readFileSync(join(FOLDER, name), 'utf8');

export function assets(app: FastifyInstance): void {
  const files: [string, string, string][] = [
    ['console.css', 'text/css; charset=utf-8', `${consoleCss}${read('console.css')}`],
    ['favicon.svg', 'image/svg+xml', read('favicon.svg')],
    ...['live.js', 'replay.js', 'copy.js'].map((name): [string, string, string] => [
      name,
      'text/javascript; charset=utf-8',
      read(name),
    ]),
  ];
  for (const [name, type, body] of files) {
    app.get(`/console/assets/${name}`, (_request, reply) => reply.type(type).send(body));
  }
}
