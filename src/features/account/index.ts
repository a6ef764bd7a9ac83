/** A person’s own account: what it is, its preferences, its password, its end. */
import type { Feature } from '../../http/feature.ts';
import { userRoutes } from './me.ts';
import { accountRoutes } from './routes.ts';

export const feature = {
  name: 'account',
  routes: (s) => async (app) => {
    await app.register(userRoutes(s));
    await app.register(accountRoutes(s));
  },
} satisfies Feature;
