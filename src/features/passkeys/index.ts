/** Passkeys of one's own account: made, listed, renamed, removed. The slices login and mfa log in and step up by one. */
import type { Feature } from '../../http/feature.ts';
import { passkeyRoutes } from './routes.ts';

export const feature: Feature = {
  name: 'passkeys',
  routes: (s) => passkeyRoutes(s),
};
