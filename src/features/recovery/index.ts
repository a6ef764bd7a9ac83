/** A forgotten password: ask for a link, set a new one. */
import type { Feature } from '../../http/feature.ts';
import { recoveryRoutes } from './routes.ts';

export const feature: Feature = {
  name: 'recovery',
  routes: recoveryRoutes,
};
