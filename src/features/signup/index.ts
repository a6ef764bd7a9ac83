/** Sign-up S1 to S5, by phone or e-mail. */
import type { Feature } from '../../http/feature.ts';
import { signupCredentialRoutes } from './credential-routes.ts';
import { effects } from './effects.ts';
import { signupPhoneRoutes } from './phone-routes.ts';
import { profileEffects, signupProfileRoutes } from './profile-routes.ts';
import { registrationRoutes } from './registration-routes.ts';
import { verificationResend } from './resend.ts';
import { signupRoutes } from './routes.ts';

export const feature = {
  name: 'signup',
  effects: { ...effects, ...profileEffects },
  routes: (s) => async (app) => {
    await app.register(registrationRoutes(s));
    await app.register(signupPhoneRoutes(s));
    await app.register(signupCredentialRoutes(s));
    await app.register(signupProfileRoutes(s));
    await app.register(signupRoutes(s));
  },
  deliveries: (s) => ({ 'verification.resend': verificationResend(s) }),
} satisfies Feature;
