/** Every route of the API in one list: the application serves it, and the published document is made from it. */
import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import { userRoutes } from '../features/account/me.ts';
import { accountRoutes } from '../features/account/routes.ts';
import { balanceHubRoutes } from '../features/balance-hub/routes.ts';
import { contactRoutes } from '../features/contacts/routes.ts';
import { contactChangeRoutes } from '../features/contacts/undo-routes.ts';
import { definitionRoutes } from '../features/flows/definitions.ts';
import { flowRoutes } from '../features/flows/routes.ts';
import { identityProofRoutes } from '../features/identity-proof/routes.ts';
import { kycRoutes } from '../features/kyc/routes.ts';
import { passwordLoginRoutes } from '../features/login/password-routes.ts';
import { loginRoutes } from '../features/login/routes.ts';
import { stepUpRoutes } from '../features/login/step-up.ts';
import { clockRoutes } from '../features/meta/clock.ts';
import { devRoutes } from '../features/meta/dev.ts';
import { metaRoutes } from '../features/meta/routes.ts';
import { recoveryRoutes } from '../features/recovery/routes.ts';
import { sessionRoutes } from '../features/sessions/routes.ts';
import { signupCredentialRoutes } from '../features/signup/credential-routes.ts';
import { signupPhoneRoutes } from '../features/signup/phone-routes.ts';
import { signupProfileRoutes } from '../features/signup/profile-routes.ts';
import { registrationRoutes } from '../features/signup/registration-routes.ts';
import { signupRoutes } from '../features/signup/routes.ts';
import { requireOwnHost } from '../http/own-host.ts';
import type { Services } from '../http/services.ts';
import { Problem } from '../kernel/problems.ts';

type Documented = { security?: readonly Record<string, readonly string[]>[] } | undefined;

/** The documented security of a route is what it demands: without any credential its body is not even looked at. */
const demandCredential: onRequestHookHandler = ({ routeOptions, headers }, _reply, done) => {
  const { security = [] } = (routeOptions.schema as Documented) ?? {};
  const optional = security.length === 0 || security.some((scheme) => Object.keys(scheme).length === 0);
  // Which cookie it is, its route knows.
  const byCookie = security.some((scheme) => 'balanceHubCookie' in scheme) && headers.cookie !== undefined;
  const missing = !optional && !byCookie && headers.authorization === undefined;
  done(missing ? new Problem('unauthenticated') : undefined);
};

/** What nobody needs a credential for answers to this machine's own names only. */
const developerRoutes =
  (s: Services) =>
  async (dev: FastifyInstance): Promise<void> => {
    dev.addHook('onRequest', requireOwnHost(s.config));
    if (s.config.demo) await dev.register(clockRoutes(s));
    if (s.inbox && s.config.env !== 'production') await dev.register(devRoutes(s.inbox));
  };

/** Registering asks nothing of a store: only handlers may. */
export const routes =
  (s: Services, version: string) =>
  async (api: FastifyInstance): Promise<void> => {
    api.addHook('onRequest', demandCredential);
    await api.register(metaRoutes(s, version));
    await api.register(loginRoutes(s));
    await api.register(stepUpRoutes(s));
    await api.register(passwordLoginRoutes(s));
    await api.register(registrationRoutes(s));
    await api.register(signupPhoneRoutes(s));
    await api.register(signupCredentialRoutes(s));
    await api.register(signupProfileRoutes(s));
    await api.register(signupRoutes(s));
    await api.register(sessionRoutes(s));
    await api.register(kycRoutes(s));
    await api.register(userRoutes(s));
    await api.register(recoveryRoutes(s));
    await api.register(accountRoutes(s));
    await api.register(contactRoutes(s));
    await api.register(contactChangeRoutes(s));
    await api.register(balanceHubRoutes(s));
    await api.register(identityProofRoutes(s));
    await api.register(flowRoutes(s));
    await api.register(definitionRoutes(s));
    await api.register(developerRoutes(s));
  };
