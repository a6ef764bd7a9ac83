/** Sharing of trading accounts. Registered only while FEATURE_SHARED_ACCOUNTS is on. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { problemsFor } from '../../http/flow-answers.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import { fullAccount, namedAccount } from './access.ts';
import { accountParams, BASE, secured } from './contract.ts';
import {
  invitationParams,
  invitationsAnswer,
  inviteBody,
  shareAnswer,
  shareOf,
  shareParams,
  sharesAnswer,
} from './share-contract.ts';
import { createShares } from './shares.ts';

export const shareRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const shares = createShares(s);

    /** A share of this person, as the member or the owner. @throws Problem not_found */
    const shareFor = async (id: string, userId: string, now: number) => {
      const share = await s.tradingShares.byId(id, new Date(now));
      if (!share || (share.memberId !== userId && share.ownerId !== userId)) throw new Problem('not_found');
      return share;
    };

    app.post(
      `${BASE}/:account_id/shares`,
      {
        schema: {
          summary: 'Invite a person to a trading account',
          ...secured,
          params: accountParams,
          body: inviteBody,
          response: { 201: shareAnswer, ...problemsFor(400, 401, 403, 404, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { live, caller, id } = await namedAccount(request, s, 'owner');
        const { user_id: memberId, access, expires_in_hours: hours, access_until: until } = request.body;
        const given = { memberId, access, hours, accessUntil: until ?? null };
        const share = await shares.invite(id, live.account, given, caller);
        reply.code(201);
        return {
          share_id: share.id,
          status: 'invited' as const,
          message: 'The invitation waits for an answer.',
        };
      },
    );

    app.get(
      `${BASE}/:account_id/shares`,
      {
        schema: {
          summary: 'Who else has access to a trading account',
          ...secured,
          params: accountParams,
          response: { 200: sharesAnswer, ...problemsFor(400, 401, 403, 404, 429, 503) },
        },
      },
      async (request) => {
        const { caller, id } = await namedAccount(request, s, 'owner');
        const rows = await s.tradingShares.ofTradingAccount(id, new Date(caller.now));
        return { shares: rows.map(shareOf) };
      },
    );

    app.delete(
      `${BASE}/:account_id/shares/:share_id`,
      {
        schema: {
          summary: 'End a share: the owner revokes it, the member leaves or declines',
          ...secured,
          params: shareParams,
          response: { 200: shareAnswer, ...problemsFor(400, 401, 403, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const { live, userId, caller } = await fullAccount(request, s);
        const share = await shareFor(request.params.share_id, userId, caller.now);
        if (share.tradingAccountId !== request.params.account_id) throw new Problem('not_found');
        await shares.end(share, live.account, caller);
        return { share_id: share.id, status: 'ended' as const, message: 'The share has ended.' };
      },
    );

    app.get(
      `${BASE}/invitations`,
      {
        schema: {
          summary: 'What I am invited to',
          ...secured,
          response: { 200: invitationsAnswer, ...problemsFor(401, 403, 429, 503) },
        },
      },
      async (request) => {
        const { userId, caller } = await fullAccount(request, s);
        const rows = await s.tradingShares.invitationsOf(userId, new Date(caller.now));
        return { invitations: rows.map(shareOf) };
      },
    );

    app.post(
      `${BASE}/invitations/:share_id/accept`,
      {
        schema: {
          summary: 'Accept an invitation',
          ...secured,
          params: invitationParams,
          response: { 200: shareAnswer, ...problemsFor(400, 401, 403, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const { live, userId, caller } = await fullAccount(request, s);
        const share = await shareFor(request.params.share_id, userId, caller.now);
        if (share.memberId !== userId || share.status !== 'invited') throw new Problem('not_found');
        await shares.accept(share, live.account, caller);
        return { share_id: share.id, status: 'active' as const, message: 'The account is shared with you.' };
      },
    );
  };
