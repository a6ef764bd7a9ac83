/** Broker accounts of a person: linked, verified, rotated, shared, unlinked. */
import type { Feature } from '../../http/feature.ts';
import { tradingDeliveries } from './deliveries.ts';
import { effects } from './effects.ts';
import { tradingRoutes } from './routes.ts';
import { shareRoutes } from './share-routes.ts';
import { shareSweep } from './shares.ts';

export const feature = {
  name: 'trading',
  effects,
  routes: (s) => async (app) => {
    await app.register(tradingRoutes(s));
    if (s.config.features.sharedAccounts) await app.register(shareRoutes(s));
  },
  deliveries: tradingDeliveries,
  sweep: shareSweep,
} satisfies Feature;
