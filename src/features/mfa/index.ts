/** Second factors: authenticator app, backup codes, and the step-up that proves one again. */
import type { Feature } from '../../http/feature.ts';
import { totpRoutes } from './routes.ts';
import { sessionStepUpRoutes } from './step-up-routes.ts';

export const feature: Feature = {
  name: 'mfa',
  routes: (s) => async (app) => {
    await app.register(sessionStepUpRoutes(s));
    // Off means 404. An account with an app is asked for its code all the same: a setting must not weaken a login.
    if (s.config.features.mfaTotp) await app.register(totpRoutes(s));
  },
};
