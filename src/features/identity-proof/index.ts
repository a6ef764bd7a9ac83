/** Proofs of identity for other services. */
import type { Feature } from '../../http/feature.ts';
import { identityProofRoutes } from './routes.ts';

export const feature = {
  name: 'identity-proof',
  routes: identityProofRoutes,
} satisfies Feature;
