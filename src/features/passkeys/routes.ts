/** Passkeys of one's own account. Making and removing one asks for a step-up. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { authenticate } from '../../http/authenticate.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import { registrationOf } from '../../http/passkey-inputs.ts';
import { callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { requireStepUp } from '../../http/step-up.ts';
import { beginPasskey, confirmPasskey, removePasskey, renamePasskey } from './commands.ts';
import {
  confirmPasskeyAnswer,
  confirmPasskeyBody,
  passkeyParams,
  passkeysAnswer,
  passkeysContract,
  registerPasskeyAnswer,
  registerPasskeyBody,
  removedAnswer,
  renamePasskeyBody,
  wellKnownAnswer,
} from './contract.ts';

export const passkeyRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const secured = { tags: ['Passkeys'], security: [{ bearerAuth: [] }] };
    const listOf = async (accountId: string) => passkeysContract(await s.factorRows.list(accountId));

    app.post(
      '/v1/passkeys/options',
      {
        config: { sends: { machine: 'factor', event: 'SETUP_STARTED', for: { kind: 'passkey' } } },
        schema: {
          summary: 'Options for a new passkey',
          description:
            'For `navigator.credentials.create()`; the passkey is discoverable and verifies its user. New options end earlier ones. Asks for a step-up.',
          ...secured,
          body: registerPasskeyBody,
          response: { 200: registerPasskeyAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const caller = callerOf(request, s);
        const { password, label = null } = request.body ?? {};
        const { eventSeq } = await requireStepUp(s, live, { password }, caller);
        const { flow, options, ttlMs } = await beginPasskey(s, live, { label, eventSeq }, caller);
        return {
          flow_id: flow.id,
          factor_id: flow.id,
          state: flow.state,
          next: s.actions.next(flow, caller.now),
          options: { ...options },
          expires_in: ttlMs / 1000,
        };
      },
    );

    app.post(
      '/v1/passkeys',
      {
        config: { sends: { machine: 'factor', event: 'CONFIRMED', for: { kind: 'passkey' } } },
        schema: {
          summary: 'Register the passkey that the browser made of the options',
          description:
            'A notice goes to the owner, and every other session counts as a single factor from then on. From now on a login asks for a second factor, unless it is one by passkey.',
          ...secured,
          body: confirmPasskeyBody,
          response: { 200: confirmPasskeyAnswer, ...problemsFor(400, 401, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const caller = callerOf(request, s);
        await s.limits.secondFactor({ network: caller.network });
        const response = registrationOf(request.body.credential);
        const { flow, backupCodes } = await confirmPasskey(s, live, response, caller);
        return {
          factor_id: flow.id,
          state: flow.state,
          ...(await listOf(live.account.id)),
          ...(backupCodes === null ? {} : { backup_codes: backupCodes }),
        };
      },
    );

    app.get(
      '/v1/passkeys',
      {
        schema: {
          summary: 'Passkeys of one’s own account',
          ...secured,
          response: { 200: passkeysAnswer, ...problemsFor(401, 429, 503) },
        },
      },
      async (request) => listOf((await authenticate(request, s)).account.id),
    );

    app.patch(
      '/v1/passkeys/:id',
      {
        schema: {
          summary: 'Rename a passkey',
          ...secured,
          params: passkeyParams,
          body: renamePasskeyBody,
          response: { 200: passkeysAnswer, ...problemsFor(400, 401, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const { id } = request.params;
        await renamePasskey(s, live, { id, label: request.body.label }, callerOf(request, s));
        return listOf(live.account.id);
      },
    );

    app.delete(
      '/v1/passkeys/:id',
      {
        config: { sends: { machine: 'factor', event: 'DISABLED', for: { kind: 'passkey' } } },
        schema: {
          summary: 'Remove a passkey',
          description:
            'Asks for a step-up. Without another second factor the backup codes end as well. A notice goes to the owner.',
          ...secured,
          params: passkeyParams,
          response: { 200: removedAnswer, ...problemsFor(400, 401, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const caller = callerOf(request, s);
        await requireStepUp(s, live, {}, caller);
        const { othersLeft } = await removePasskey(s, live, request.params.id, caller);
        return {
          mfa_enabled: othersLeft,
          message: 'The passkey is removed. Delete it on its device as well.',
        };
      },
    );

    app.get(
      '/.well-known/webauthn',
      {
        schema: {
          summary: 'Origins that may use the passkeys',
          description:
            'Related origin requests of WebAuthn Level 3. Browsers ask the host that PASSKEY_RP_ID names.',
          tags: ['Passkeys'],
          security: [],
          response: { 200: wellKnownAnswer, ...problemsFor(429, 503) },
        },
      },
      async () => ({ origins: s.passkeys.origins }),
    );
  };
