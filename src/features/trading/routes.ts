/** The eight documented routes of trading accounts, and the one that reveals credentials. */
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { describe } from '../../../db/trading-accounts.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import type { Services } from '../../http/services.ts';
import { requireSecondFactor } from '../../http/step-up.ts';
import { summaryOf, tradingSummary } from '../../http/trading-summary.ts';
import { Problem } from '../../kernel/problems.ts';
import { accessTo, fullAccount, namedAccount } from './access.ts';
import { createTrading } from './commands.ts';
import {
  accountParams,
  BASE,
  credentialsAnswer,
  credentialsContract,
  linkAnswer,
  linkBody,
  linkContract,
  listAnswer,
  patchBody,
  revealAnswer,
  rotateBody,
  secured,
  statusAnswer,
  statusContract,
  unlinkAnswer,
} from './contract.ts';

export const tradingRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const trading = createTrading(s);
    const one = `${BASE}/:account_id`;
    const sends = (event: string) => ({
      sends: { machine: 'trading_link' as const, event, params: { account_id: 'linkId' } },
    });
    const offer = (now: number) => ({ actions: s.actions, now });

    app.post(
      `${BASE}/link`,
      {
        schema: {
          summary: 'Link a broker account; a token is verified with the broker first',
          description:
            'Sends `LINKED` to the [trading_link machine](/v1/flows/definitions/trading_link/diagram).',
          ...secured,
          body: linkBody,
          response: { 201: linkAnswer, ...problemsFor(400, 401, 403, 409, 422, 429, 503) },
        },
      },
      async (request, reply) => {
        const { userId, caller } = await fullAccount(request, s);
        const { body } = request;
        const { flow } = await trading.link(userId, body, caller);
        reply.code(201);
        const named = { brokerUserId: body.broker_user_id, accountName: body.account_name ?? null };
        return linkContract(flow, offer(caller.now), named);
      },
    );

    app.get(
      BASE,
      {
        schema: {
          summary: 'My linked accounts and those shared with me, masked',
          ...secured,
          response: { 200: listAnswer, ...problemsFor(401, 403, 429, 503) },
        },
      },
      async (request) => {
        const { userId, caller } = await fullAccount(request, s);
        const rows = await s.tradingAccounts.of(userId, new Date(caller.now));
        const all = rows.map((row) => summaryOf(row, caller.now));
        const owned = all.filter(({ access }) => access === 'owner');
        const shared = s.config.features.sharedAccounts ? all.filter(({ access }) => access !== 'owner') : [];
        return {
          user_id: userId,
          owned_accounts: owned,
          shared_accounts: shared,
          total_accounts: owned.length + shared.length,
        };
      },
    );

    app.get(
      one,
      {
        schema: {
          summary: 'One linked account, masked',
          ...secured,
          params: accountParams,
          response: { 200: tradingSummary, ...problemsFor(400, 401, 403, 404, 429, 503) },
        },
      },
      async (request) => {
        const { row, caller } = await namedAccount(request, s, 'view');
        return summaryOf(row, caller.now);
      },
    );

    app.patch(
      one,
      {
        schema: {
          summary: 'Change the name or the preferences of a linked account; credentials change by rotation',
          ...secured,
          params: accountParams,
          body: patchBody,
          response: { 200: tradingSummary, ...problemsFor(400, 401, 403, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const { live, userId, caller, id } = await namedAccount(request, s, 'manage');
        const { account_name, nickname, preferences } = request.body;
        const accountName = account_name === undefined ? nickname : account_name;
        const change = {
          ...(accountName === undefined ? {} : { accountName }),
          ...(preferences === undefined ? {} : { preferences }),
        };
        await s.commitAccount(
          {
            account: live.account,
            parts: [describe(id, change, new Date(caller.now))],
            event: { type: 'trading_account.updated', tradingAccountId: id },
          },
          caller,
        );
        return summaryOf(await accessTo(s, id, { userId, caller, least: 'manage' }), caller.now);
      },
    );

    app.delete(
      one,
      {
        config: sends('UNLINKED'),
        schema: {
          summary: 'Unlink an account: its credentials are destroyed, its shares end',
          ...secured,
          params: accountParams,
          response: { 200: unlinkAnswer, ...problemsFor(400, 401, 403, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const { caller, id } = await namedAccount(request, s, 'owner');
        const { ended } = await trading.unlink(id, caller);
        return {
          trading_account_id: id,
          message: 'The account is unlinked and its credentials are destroyed.',
          memberships_revoked: ended,
        };
      },
    );

    app.post(
      `${one}/verify`,
      {
        config: sends('CHECKED'),
        schema: {
          summary: 'Ask the broker whether the credentials work',
          ...secured,
          params: accountParams,
          response: { 200: credentialsAnswer, ...problemsFor(400, 401, 403, 404, 409, 429, 503) },
        },
      },
      async (request) => {
        const { userId, caller, id } = await namedAccount(request, s, 'manage');
        return credentialsContract(await trading.verify(id, userId, caller), offer(caller.now));
      },
    );

    app.post(
      `${one}/rotate-credentials`,
      {
        config: sends('ROTATED'),
        schema: {
          summary: 'Replace credentials; the earlier ones stay until the broker accepts the new ones',
          ...secured,
          params: accountParams,
          body: rotateBody,
          response: { 200: credentialsAnswer, ...problemsFor(400, 401, 403, 404, 409, 422, 429, 503) },
        },
      },
      async (request) => {
        const { userId, caller, id } = await namedAccount(request, s, 'manage');
        const flow = await trading.rotate(id, userId, request.body, caller);
        return credentialsContract(flow, offer(caller.now));
      },
    );

    app.get(
      `${one}/status`,
      {
        schema: {
          summary: 'Whether the credentials work, as of the last check',
          ...secured,
          params: accountParams,
          response: { 200: statusAnswer, ...problemsFor(400, 401, 403, 404, 429, 503) },
        },
      },
      async (request) => {
        const { row, caller } = await namedAccount(request, s, 'view');
        return statusContract(row, caller.now);
      },
    );

    app.post(
      `${one}/reveal`,
      {
        // A second copy of the answer must not exist, not even sealed.
        config: { answerNotKept: true },
        schema: {
          summary: 'Show the credentials in clear, to the owner, right after a second factor',
          description: 'At most 5 an hour. Each is audited. Without a second factor: 403 `factor_required`.',
          ...secured,
          params: accountParams,
          response: { 200: revealAnswer, ...problemsFor(400, 401, 403, 404, 409, 429, 503) },
        },
      },
      async (request, reply) => {
        const { live, userId, caller, id } = await namedAccount(request, s, 'owner');
        if (!live.mfa) throw new Problem('factor_required');
        requireSecondFactor(live, caller);
        await s.limits.reveal({ accountId: userId });
        const revealed = await trading.reveal(id, caller);
        reply.header('cache-control', 'no-store');
        return { trading_account_id: id, ...revealed, access_token: revealed.access_token ?? null };
      },
    );
  };
