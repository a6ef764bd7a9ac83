/** Refresh, logout, introspection and the list of sessions. */
import { onlyCookie } from '../../http/cookies.ts';
import type { Feature } from '../../http/feature.ts';
import { createRefresh } from './refresh.ts';
import { sessionRoutes } from './routes.ts';

export const feature = {
  name: 'sessions',
  routes: sessionRoutes,
  credentials: (s) => {
    const refresh = createRefresh(s);
    return [
      {
        scheme: 'refreshCookie',
        read: (request) => {
          const { refresh_token: given } = (request.body ?? {}) as { refresh_token?: unknown };
          return typeof given === 'string' ? given : onlyCookie(request, s.config.session.cookieName);
        },
        identityOf: async (token) => {
          const sessionId = await refresh.sessionOf(token, new Date(s.clock.now()));
          return sessionId === null ? null : ['session', sessionId];
        },
      },
    ];
  },
} satisfies Feature;
