/** The documented `/balance_hub` API over the same flows. */
import { onlyCookie } from '../../http/cookies.ts';
import type { Feature } from '../../http/feature.ts';
import { balanceHubRoutes } from './routes.ts';
import { COOKIE_NAME, sessionNamedBy } from './session-cookie.ts';

export const feature = {
  name: 'balance-hub',
  routes: balanceHubRoutes,
  credentials: (s) => [
    {
      scheme: 'balanceHubCookie',
      read: (request) => onlyCookie(request, COOKIE_NAME),
      identityOf: async (text) => {
        const live = await sessionNamedBy(text, s);
        return live ? ['session', live.session.id] : null;
      },
    },
  ],
} satisfies Feature;
