/** Login by code, password or passkey, and its step-up. */
import type { Feature } from '../../http/feature.ts';
import { passkeyLoginRoutes } from './passkey-routes.ts';
import { passwordLoginRoutes } from './password-routes.ts';
import { loginRoutes } from './routes.ts';
import { stepUpRoutes } from './step-up.ts';

export const feature = {
  name: 'login',
  routes: (s) => async (app) => {
    await app.register(loginRoutes(s));
    await app.register(stepUpRoutes(s));
    await app.register(passwordLoginRoutes(s));
    await app.register(passkeyLoginRoutes(s));
  },
} satisfies Feature;
