/** Documents, verdicts of providers, decisions of reviewers. */
import type { Feature } from '../../http/feature.ts';
import { kycDeliveries } from './deliveries.ts';
import { effects } from './effects.ts';
import { kycRoutes } from './routes.ts';

export const feature = {
  name: 'kyc',
  effects,
  routes: kycRoutes,
  deliveries: kycDeliveries,
} satisfies Feature;
