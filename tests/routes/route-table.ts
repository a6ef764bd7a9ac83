/** Every route the running server has, read back from its router: nothing registered anywhere can hide from a test. */
import type { FastifyInstance } from 'fastify';

export type RouteEntry = { method: string; path: string };

/** The router prints a tree, four columns a level; a line may carry the methods of its path. */
export function routeTable(server: FastifyInstance): RouteEntry[] {
  const parents: string[] = [];
  return server
    .printRoutes({ commonPrefix: false })
    .split('\n')
    .flatMap((line) => {
      const match = /^([\s│]*)[├└]── (\S*?)(?: \(([A-Z, ]+)\))?$/.exec(line);
      if (!match) return [];
      const [, indent = '', text = '', methods] = match;
      const level = indent.length / 4;
      const path = (parents[level - 1] ?? '') + text;
      parents[level] = path;
      return (methods?.split(', ') ?? []).map((method) => ({ method, path }));
    })
    .filter(({ method }) => method !== 'HEAD' && method !== 'OPTIONS');
}
