/** Every route of the API in one list: the application serves it, and the published document is made from it. */
import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import { requireOwnHost } from '../http/own-host.ts';
import { Problem } from '../problems.ts';
import type { Services } from '../services.ts';
import { accountRoutes } from './account.ts';
import { balanceHubRoutes } from './balance-hub.ts';
import { clockRoutes } from './clock.ts';
import { contactChangeRoutes } from './contact-change.ts';
import { contactRoutes } from './contacts.ts';
import { definitionRoutes } from './definitions.ts';
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
import { signupCredentialRoutes } from './signup-credentials.ts';
import { signupPhoneRoutes } from './signup-phone.ts';
import { signupProfileRoutes } from './signup-profile.ts';
import { stepUpRoutes } from './step-up.ts';
import { userRoutes } from './users.ts';

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
