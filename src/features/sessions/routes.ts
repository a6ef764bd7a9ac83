/** Refresh, logout, and one's own sessions. Tokens are spent and sessions ended elsewhere. */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { FastifyPluginAsyncZod } from 'fastify-type-provider-zod';
import { authenticate } from '../../http/authenticate.ts';
import { problemsFor } from '../../http/flow-answers.ts';
import { requireOwnOrigin } from '../../http/own-origin.ts';
import { callerOf } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import {
  logoutBody,
  refreshAnswer,
  refreshBody,
  refreshContract,
  sessionParams,
  sessionsAnswer,
  sessionsContract,
  sessionsEndedAnswer,
} from './contract.ts';
import { introspectRoute } from './introspect.ts';
import { createRefresh } from './refresh.ts';
import { clearRefreshCookie, refreshCookieOf, setRefreshCookie } from './refresh-cookie.ts';

export const sessionRoutes =
  (s: Services): FastifyPluginAsyncZod =>
  async (app) => {
    const { config } = s;
    const refresh = createRefresh(s);
    const doc = (summary: string, description?: string) => ({
      summary,
      ...(description ? { description } : {}),
      tags: ['Sessions'],
      security: [{ bearerAuth: [] }],
    });

    app.post(
      '/v1/auth/refresh',
      {
        schema: {
          ...doc(
            'A new access token for a refresh token',
            'Takes the refresh token from the HttpOnly cookie or from the body, never both, and answers the same way. ' +
              'Every call spends the token and gives its successor; repeating it within seconds gives the same ' +
              'successor. A spent token that another device (or, without `device_id`, another user agent) shows ' +
              'within these seconds ends its session; shown later, it ends every session of the user.',
          ),
          security: [{ refreshCookie: [] }, {}],
          body: refreshBody,
          response: { 200: refreshAnswer, ...problemsFor(400, 401, 403, 429, 503) },
        },
      },
      async (request, reply) => {
        const given = presented(request, s, request.body?.refresh_token);
        try {
          const caller = callerOf(request, s, { deviceId: request.body?.device_id });
          const refreshed = await refresh.rotate(given.token, caller);
          if (given.transport === 'cookie') {
            const { persistent, expiresAt } = refreshed.grantee;
            const left = persistent ? (expiresAt - s.clock.now()) / 1000 : null;
            setRefreshCookie(reply, config, refreshed.refreshToken, left);
          }
          return refreshContract(refreshed, given.transport);
        } catch (error) {
          const dead = error instanceof Problem && error.code === 'invalid_token';
          if (dead && given.transport === 'cookie') clearRefreshCookie(reply, config);
          throw error;
        }
      },
    );

    app.post(
      '/v1/auth/logout',
      {
        config: { endsSession: true },
        schema: {
          ...doc('Log out, here or everywhere'),
          body: logoutBody,
          response: { 200: sessionsEndedAnswer, ...problemsFor(400, 401, 429, 503) },
        },
      },
      async (request, reply) => {
        const { session } = await authenticate(request, s);
        const everywhere = request.body?.all_devices ?? false;
        const ended = await s.sessionEnds.end(
          {
            accountId: session.accountId,
            sessionId: session.id,
            which: everywhere ? 'all' : 'this',
            reason: 'logout',
            event: { type: 'user.logout' },
          },
          callerOf(request, s),
        );
        clearCookie(request, reply, s);
        return {
          message: everywhere ? 'Logged out on every device' : 'Logged out',
          sessions_revoked: ended.length,
        };
      },
    );

    app.get(
      '/v1/auth/sessions',
      {
        schema: {
          ...doc('List sessions'),
          response: { 200: sessionsAnswer, ...problemsFor(401, 429, 503) },
        },
      },
      async (request) => {
        const { session } = await authenticate(request, s);
        const listed = await s.sessions.list(session.accountId, new Date(s.clock.now()));
        return sessionsContract(listed, session.id);
      },
    );

    app.delete(
      '/v1/auth/sessions/:session_id',
      {
        schema: {
          ...doc('End one of this account’s sessions'),
          params: sessionParams,
          response: { 200: sessionsEndedAnswer, ...problemsFor(400, 401, 404, 429, 503) },
        },
      },
      async (request) => {
        const { session } = await authenticate(request, s);
        const ended = await s.sessionEnds.end(
          {
            accountId: session.accountId,
            sessionId: request.params.session_id,
            which: 'this',
            reason: 'removed',
          },
          callerOf(request, s),
        );
        if (!ended.length) throw new Problem('not_found');
        return { message: 'The session has ended', sessions_revoked: ended.length };
      },
    );

    await app.register(introspectRoute(s, refresh));
  };

type Presented = { token: string; transport: 'body' | 'cookie' };

function presented(request: FastifyRequest, { config }: Services, fromBody: string | undefined): Presented {
  const cookie = refreshCookieOf(request, config);
  if (cookie !== null && fromBody !== undefined) {
    throw new Problem('validation_failed', {
      detail: 'The refresh token was sent in the cookie and in the body; send one of them.',
    });
  }
  if (fromBody !== undefined) return { token: fromBody, transport: 'body' };
  if (cookie === null) throw new Problem('unauthenticated');
  requireOwnOrigin(request, config);
  return { token: cookie, transport: 'cookie' };
}

/** Only where there is one: a client of the body transport is sent no cookie at all. */
function clearCookie(request: FastifyRequest, reply: FastifyReply, { config }: Services): void {
  if (request.cookies[config.session.cookieName] !== undefined) clearRefreshCookie(reply, config);
}
