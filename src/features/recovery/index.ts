/** A forgotten password: ask for a link, set a new one. */
import type { Feature } from '../../http/feature.ts';
import { effects } from './effects.ts';
import { recoveryRoutes } from './routes.ts';

export const feature = {
  name: 'recovery',
  effects,
  routes: recoveryRoutes,
} satisfies Feature;
