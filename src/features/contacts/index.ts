/** Phone numbers and addresses of an account: added, removed, preferred, undone. */
import type { Feature } from '../../http/feature.ts';
import { effects } from './effects.ts';
import { contactRoutes } from './routes.ts';
import { contactChangeRoutes } from './undo-routes.ts';

export const feature = {
  name: 'contacts',
  effects,
  routes: (s) => async (app) => {
    await app.register(contactRoutes(s));
    await app.register(contactChangeRoutes(s));
  },
} satisfies Feature;
