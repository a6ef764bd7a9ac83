/** The documented `/balance_hub` API over the same flows. */
import { onlyCookie } from '../../http/cookies.ts';
import type { Feature } from '../../http/feature.ts';
import { balanceHubRoutes } from './routes.ts';
import { COOKIE_NAME, readCookieValue } from './session-cookie.ts';

export const feature = {
  name: 'balance-hub',
  routes: balanceHubRoutes,
  credentials: (s) => [
    {
      scheme: 'balanceHubCookie',
      read: (request) => onlyCookie(request, COOKIE_NAME),
      identityOf: async (text) => {
        const named = readCookieValue(s.keyring.key('cookie'), text);
        if (!named || named.expiresAt <= s.clock.now()) return null;
        const live = await s.sessions.live(named.sessionId, new Date(s.clock.now()));
        return live ? ['session', named.sessionId] : null;
      },
    },
  ],
} satisfies Feature;
