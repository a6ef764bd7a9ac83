/** Authenticator app and backup codes of one's own account. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { authenticate } from '../../http/authenticate.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import { typedCode } from '../../http/inputs.ts';
import { callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { requireBothFactors, requireStepUp, steppedUp } from '../../http/step-up.ts';
import { disableTotp, enableTotp, renewBackupCodes, requireTotp, setUpTotp } from './commands.ts';
import {
  disableTotpAnswer,
  disableTotpBody,
  enableTotpAnswer,
  enableTotpBody,
  regenerateAnswer,
  regenerateBody,
  setupTotpAnswer,
  setupTotpBody,
  steppedUpAnswer,
  verifyTotpBody,
} from './contract.ts';

export const totpRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const secured = { tags: ['Second factors'], security: [{ bearerAuth: [] }] };

    app.post(
      '/v1/mfa/totp/setup',
      {
        config: { sends: { machine: 'factor', event: 'SETUP_STARTED', for: { kind: 'totp' } } },
        schema: {
          summary: 'Set up an authenticator app: its secret, shown once',
          description:
            'It counts from its first code on; an app in use stays until then. Asks for a step-up.',
          ...secured,
          body: setupTotpBody,
          response: { 200: setupTotpAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const caller = callerOf(request, s);
        const { password, label = null } = request.body ?? {};
        const { eventSeq } = await requireStepUp(s, live, { password }, caller);
        const { flow, ...made } = await setUpTotp(s, live, { label, eventSeq }, caller);
        return {
          factor_id: flow.id,
          secret: made.secret,
          otpauth_uri: made.uri,
          qr_code_data_uri: made.picture,
          issuer: made.issuer,
          account_name: made.accountName,
          expires_in: made.ttlMs / 1000,
          message: 'Read the picture with an authenticator app, then enable it with the code that it shows.',
          state: flow.state,
          next: s.actions.next(flow, caller.now),
        };
      },
    );

    app.post(
      '/v1/mfa/totp/enable',
      {
        config: { sends: { machine: 'factor', event: 'CONFIRMED', for: { kind: 'totp' } } },
        schema: {
          summary: 'Confirm the app by its first code; answers with eight backup codes',
          description:
            'A notice goes to the owner, and every other session counts as a single factor from then on.',
          ...secured,
          body: enableTotpBody,
          response: { 200: enableTotpAnswer, ...problemsFor(400, 401, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const caller = callerOf(request, s);
        await s.limits.secondFactor({ network: caller.network });
        const { flow, backupCodes } = await enableTotp(s, live, typedCode(request.body.code).text, caller);
        return {
          user_id: live.account.id,
          mfa_enabled: true as const,
          factor_id: flow.id,
          backup_codes: backupCodes,
          message: 'Every login asks for the app from now on. Keep the backup codes where the phone is not.',
          state: flow.state,
        };
      },
    );

    app.post(
      '/v1/mfa/totp/verify',
      {
        schema: {
          summary: 'Prove the second factor again: a token for sensitive calls',
          description:
            'The same as `POST /v1/auth/step-up` with a code. `verification_token` is an access token of this session with `acr` aal2 and a new `auth_time`; a refresh gives back what the session had.',
          ...secured,
          body: verifyTotpBody,
          response: { 200: steppedUpAnswer, ...problemsFor(400, 401, 403, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const caller = callerOf(request, s);
        await s.limits.secondFactor({ network: caller.network });
        const asked = { accountId: live.account.id, sessionId: live.session.id };
        const factor = await s.checkFactor({ ...asked, code: typedCode(request.body.code) }, caller);
        return {
          method: factor.kind,
          ...(await steppedUp(s, live, { factor, amr: s.factors.amrOf(factor) }, caller)),
        };
      },
    );

    app.post(
      '/v1/mfa/totp/disable',
      {
        config: { sends: { machine: 'factor', event: 'DISABLED', for: { kind: 'totp' } } },
        schema: {
          summary: 'Remove the authenticator app: the password and a code',
          description:
            'Without another second factor the backup codes end as well. A notice goes to the owner.',
          ...secured,
          body: disableTotpBody,
          response: { 200: disableTotpAnswer, ...problemsFor(400, 401, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const caller = callerOf(request, s);
        const { password, code } = request.body;
        await requireTotp(s, live, caller);
        const proofs = { password, code: code === undefined ? undefined : typedCode(code) };
        await requireBothFactors(s, live, proofs, caller);
        const { othersLeft } = await disableTotp(s, live, caller);
        return {
          user_id: live.account.id,
          mfa_enabled: othersLeft,
          message: 'The authenticator app is removed.',
        };
      },
    );

    app.post(
      '/v1/mfa/backup-codes/regenerate',
      {
        schema: {
          summary: 'Eight new backup codes; earlier ones end',
          ...secured,
          body: regenerateBody,
          response: { 200: regenerateAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const caller = callerOf(request, s);
        const { password, code } = request.body;
        const proofs = { password, code: code === undefined ? undefined : typedCode(code) };
        await requireBothFactors(s, live, proofs, caller);
        return {
          user_id: live.account.id,
          backup_codes: await renewBackupCodes(s, live, caller),
          message: 'Here are eight new backup codes.',
          warning: 'They are shown once. Earlier backup codes no longer work.',
        };
      },
    );
  };
