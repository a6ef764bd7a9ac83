/** The service about itself: identity, health, public keys; in the demo its clock and inbox. */
import type { Feature } from '../../http/feature.ts';
import { requireOwnHost } from '../../http/own-host.ts';
import { clockRoutes } from './clock.ts';
import { devRoutes } from './dev.ts';
import { metaRoutes } from './routes.ts';

export const feature = {
  name: 'meta',
  routes: (s, version) => async (app) => {
    await app.register(metaRoutes(s, version));
    // What needs no credential answers to this machine's own names only.
    await app.register(async (dev) => {
      dev.addHook('onRequest', requireOwnHost(s.config));
      if (s.config.demo) await dev.register(clockRoutes(s));
      if (s.inbox && s.config.env !== 'production') await dev.register(devRoutes(s.inbox));
    });
  },
} satisfies Feature;
