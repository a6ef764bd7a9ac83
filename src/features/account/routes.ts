/** The person's own account: data, preferences, password, deletion. Every change is audited in its own commit. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { z } from 'zod';
import { shredAll } from '../../../db/trading-accounts.ts';
import { changePassword, changeProfile, replacePreferences } from '../../../db/users.ts';
import { alreadyCommitted } from '../../engine/keyed-run.ts';
import { acceptPassword } from '../../engine/new-password.ts';
import { ERASURE_DELAY_MS } from '../../engine/retention.ts';
import { authenticate } from '../../http/authenticate.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import { requirePassword } from '../../http/reauthentication.ts';
import { callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { requireSecondFactor, requireStepUp } from '../../http/step-up.ts';
import { Problem } from '../../kernel/problems.ts';
import {
  changePasswordBody,
  deleteMeAnswer,
  deleteMeBody,
  messageAnswer,
  patchMeAnswer,
  patchMeBody,
  preferencesAnswer,
  preferencesBody,
  publicProfileAnswer,
} from './contract.ts';

export const accountRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const secured = { tags: ['Users'], security: [{ bearerAuth: [] }] };

    app.patch(
      '/v1/users/me',
      {
        schema: {
          summary: 'Change name, time zone, locale or avatar',
          description: 'Phone and e-mail change only by proof: see `POST /v1/users/me/contacts`.',
          ...secured,
          body: patchMeBody,
          response: { 200: patchMeAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const { account } = await authenticate(request, s);
        const { name, timezone, locale, avatar_url: avatarUrl } = request.body;
        const change = {
          ...(name === undefined ? {} : { displayName: name }),
          ...(timezone === undefined ? {} : { timezone }),
          ...(locale === undefined ? {} : { locale }),
          ...(avatarUrl === undefined ? {} : { avatarUrl }),
        };
        await s.commitAccount(
          { account, parts: [changeProfile(account.id, change)], event: { type: 'user.updated' } },
          callerOf(request, s),
        );
        return { user_id: account.id, message: 'Changed.', updated_fields: Object.keys(request.body) };
      },
    );

    app.delete(
      '/v1/users/me',
      {
        schema: {
          summary: 'Delete the account: sessions end now, personal data is erased after 30 days',
          ...secured,
          body: deleteMeBody,
          response: { 200: deleteMeAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const { account } = live;
        const caller = callerOf(request, s);
        const { eventSeq } = await requireStepUp(s, live, { password: request.body?.password }, caller);
        const now = new Date(caller.now);
        const owner = { id: account.id, eventSeq };
        const [linked, held] = await Promise.all([
          s.tradingAccounts.linkedIds(account.id),
          s.tradingShares.heldBy(account.id),
        ]);
        const own = held.map((share) => ({ ...share, memberId: account.id, memberSeq: eventSeq }));
        const shares = [...(await s.tradingShares.liveOf(linked)), ...own];
        const { sessionsEnded } = await s.commitAccount(
          {
            account: owner,
            parts: linked.length > 0 ? shredAll(account.id, linked.length, now) : [],
            also: linked.map((tradingAccountId) => ({
              account: owner,
              event: { type: 'trading_account.unlinked', reason: 'user_deleted', tradingAccountId },
            })),
            endShares: { shares, reason: 'user_deleted' },
            endSessions: { reason: 'deleted' },
            patch: { status: 'deleted', deletedAt: now },
            event: { type: 'user.deleted' },
            notice: 'account_deleted',
          },
          caller,
        );
        for (const id of linked) s.vault.forget(id);
        return {
          message: 'The account is deleted.',
          sessions_revoked: sessionsEnded,
          trading_accounts_unlinked: linked.length,
          erased_after: new Date(caller.now + ERASURE_DELAY_MS).toISOString(),
        };
      },
    );

    app.post(
      '/v1/users/change-password',
      {
        schema: {
          summary: 'Change the password; other sessions go on unless asked otherwise',
          ...secured,
          body: changePasswordBody,
          response: { 200: messageAnswer, ...problemsFor(400, 401, 409, 422, 429, 503) },
        },
      },
      async (request) => {
        const live = await authenticate(request, s);
        const { account, session } = live;
        const caller = callerOf(request, s);
        const { body } = request;
        if (alreadyCommitted(caller)) return { message: 'The password is changed.' };
        requireSecondFactor(live, caller);
        const checked = await requirePassword(s, account.id, body.current_password, caller);
        const hash = await acceptPassword(s, body.new_password, {
          accountId: account.id,
          context: await s.users.identityOf(account.id),
          previous: checked.passwordHash,
          pointer: '/body/new_password',
        });
        await s.commitAccount(
          {
            account: { id: account.id, eventSeq: checked.eventSeq },
            parts: [changePassword(account.id, hash, checked.passwordVersion, new Date(caller.now))],
            ...(body.revoke_other_sessions
              ? { endSessions: { reason: 'password_changed', except: session.id } }
              : {}),
            event: { type: 'password.changed', sessionId: session.id },
            notice: 'password_changed',
          },
          caller,
        );
        return { message: 'The password is changed.' };
      },
    );

    app.get(
      '/v1/users/me/preferences',
      {
        schema: {
          summary: 'Preferences',
          ...secured,
          response: { 200: preferencesAnswer, ...problemsFor(401, 429, 503) },
        },
      },
      async (request) => {
        const { account } = await authenticate(request, s);
        return { preferences: await s.users.preferencesOf(account.id) };
      },
    );

    app.put(
      '/v1/users/me/preferences',
      {
        schema: {
          summary: 'Replace the preferences',
          ...secured,
          body: preferencesBody,
          response: { 200: preferencesAnswer, ...problemsFor(400, 401, 409, 429, 503) },
        },
      },
      async (request) => {
        const { account } = await authenticate(request, s);
        const { preferences } = request.body;
        await s.commitAccount(
          {
            account,
            parts: [replacePreferences(account.id, preferences)],
            event: { type: 'preferences.updated' },
          },
          callerOf(request, s),
        );
        return { preferences };
      },
    );

    app.get(
      '/v1/users/profile/:user_id',
      {
        schema: {
          summary: 'What others may see of an account; never an address or a number',
          ...secured,
          params: z.strictObject({ user_id: z.uuid() }),
          response: { 200: publicProfileAnswer, ...problemsFor(400, 401, 404, 429, 503) },
        },
      },
      async (request) => {
        await authenticate(request, s);
        const found = await s.users.publicProfile(request.params.user_id);
        if (!found) throw new Problem('not_found');
        return {
          user_id: found.id,
          name: found.displayName ?? found.firstName,
          avatar_url: found.avatarUrl,
          status: found.status,
          created_at: found.createdAt.toISOString(),
        };
      },
    );
  };
