/** Every route of the API in one list: the application serves it, and the published document is made from it. */
import type { FastifyInstance } from 'fastify';
import type { Services } from '../services.ts';
import { accountRoutes } from './account.ts';
import { contactRoutes } from './contacts.ts';
import { devRoutes } from './dev.ts';
import { flowRoutes } from './flows.ts';
import { identityProofRoutes } from './identity-proof.ts';
import { kycRoutes } from './kyc.ts';
import { loginRoutes } from './login.ts';
import { metaRoutes } from './meta.ts';
import { passwordLoginRoutes } from './password-login.ts';
import { recoveryRoutes } from './recovery.ts';
import { registrationRoutes } from './registration.ts';
import { sessionRoutes } from './sessions.ts';
import { signupRoutes } from './signup.ts';
import { userRoutes } from './users.ts';

/** Registering asks nothing of a store: only handlers may. */
export const routes =
  (s: Services, version: string) =>
  async (api: FastifyInstance): Promise<void> => {
    await api.register(metaRoutes(s, version));
    await api.register(loginRoutes(s));
    await api.register(passwordLoginRoutes(s));
    await api.register(registrationRoutes(s));
    await api.register(signupRoutes(s));
    await api.register(sessionRoutes(s));
    await api.register(kycRoutes(s));
    await api.register(userRoutes(s));
    await api.register(recoveryRoutes(s));
    await api.register(accountRoutes(s));
    await api.register(contactRoutes(s));
    await api.register(identityProofRoutes(s));
    await api.register(flowRoutes(s));
    if (s.inbox && s.config.env !== 'production') await api.register(devRoutes(s.inbox));
  };
