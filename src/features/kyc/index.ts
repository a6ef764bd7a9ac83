/** Documents, verdicts of providers, decisions of reviewers. */
import type { Feature } from '../../http/feature.ts';
import { kycDeliveries } from './deliveries.ts';
import { kycRoutes } from './routes.ts';

export const feature: Feature = {
  name: 'kyc',
  routes: kycRoutes,
  deliveries: kycDeliveries,
};
