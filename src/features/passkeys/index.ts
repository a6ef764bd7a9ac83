/** Passkeys of one's own account: made, listed, renamed, removed. Logging in and stepping up by one are theirs who own those routes. */
import type { Feature } from '../../http/feature.ts';
import { passkeyRoutes } from './routes.ts';

export const feature: Feature = {
  name: 'passkeys',
  routes: (s) => passkeyRoutes(s),
};
