/** Every slice, by level: the only place that knows all of them. A slice imports slices of lower levels only. */
import type { FastifyInstance, onRequestHookHandler } from 'fastify';
import type { TopicHandler } from '../engine/delivery.ts';
import { createEffectHandlers, type EffectHandlers } from '../engine/effects.ts';
import { feature as account } from '../features/account/index.ts';
import { feature as balanceHub } from '../features/balance-hub/index.ts';
import { feature as contacts } from '../features/contacts/index.ts';
import { feature as devices } from '../features/devices/index.ts';
import { feature as flows } from '../features/flows/index.ts';
import { feature as identityProof } from '../features/identity-proof/index.ts';
import { feature as kyc } from '../features/kyc/index.ts';
import { feature as login } from '../features/login/index.ts';
import { feature as meta } from '../features/meta/index.ts';
import { feature as mfa } from '../features/mfa/index.ts';
import { feature as notices } from '../features/notices/index.ts';
import { feature as passkeys } from '../features/passkeys/index.ts';
import { feature as recovery } from '../features/recovery/index.ts';
import { feature as sessions } from '../features/sessions/index.ts';
import { feature as signup } from '../features/signup/index.ts';
import type { Feature } from '../http/feature.ts';
import type { CredentialReader } from '../http/request-identity.ts';
import type { Services } from '../http/services.ts';
import { Problem } from '../kernel/problems.ts';

export const LEVELS = [
  [sessions],
  [account, login, mfa, passkeys, devices, kyc, flows, identityProof, notices, meta],
  [signup, contacts, recovery],
  [balanceHub, { name: 'import' }],
] as const satisfies readonly (readonly Feature[])[];

const FEATURES: readonly Feature[] = LEVELS.flat();

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

/** Every route of the API: the application serves them, and the published document is made from them. */
export const routes =
  (s: Services, version: string) =>
  async (api: FastifyInstance): Promise<void> => {
    api.addHook('onRequest', demandCredential);
    s.actions.collect(api);
    for (const feature of FEATURES) {
      const plugin = feature.routes?.(s, version);
      if (plugin) await api.register(plugin);
    }
  };

/** What the relay does, by topic. */
export const deliveries = (s: Services): Record<string, TopicHandler> =>
  Object.assign({}, ...FEATURES.map((feature) => feature.deliveries?.(s) ?? {}));

/** Credentials, besides access tokens, that tell who repeats a keyed request. */
export const credentials = (s: Services): CredentialReader[] =>
  FEATURES.flatMap((feature) => feature.credentials?.(s) ?? []);

type Own<F> = F extends { effects: infer E } ? E : never;
type Joined<U> = (U extends unknown ? (one: U) => void : never) extends (all: infer A) => void ? A : never;
type OwnOfAll = Joined<Own<(typeof LEVELS)[number][number]>>;

/** The engine's handlers of effects and every slice's; an effect that a machine declares and nothing handles is a type error here. */
export const effectHandlers = (deps: Parameters<typeof createEffectHandlers>[0]): EffectHandlers => ({
  ...createEffectHandlers(deps),
  ...(Object.assign({}, ...FEATURES.map((feature) => feature.effects)) as OwnOfAll),
});
