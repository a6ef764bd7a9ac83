/** Flows as their owners read them, and the machines as anybody reads them. */
import type { Feature } from '../../http/feature.ts';
import { definitionRoutes } from './definitions.ts';
import { flowRoutes } from './routes.ts';

export const feature = {
  name: 'flows',
  routes: (s) => async (app) => {
    await app.register(flowRoutes(s));
    await app.register(definitionRoutes(s));
  },
} satisfies Feature;
