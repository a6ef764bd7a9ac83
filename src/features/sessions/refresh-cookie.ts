/**
 * How a refresh token reaches the client: in the body, or in a cookie that scripts never see. Never both: the client
 * chooses, and what travels as a cookie is in no body.
 */
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Config } from '../../config/index.ts';
import { onlyCookie } from '../../http/cookies.ts';
import type { TokenTransport } from '../../http/inputs.ts';
import type { Revealed } from './issue-tokens.ts';

type CookieConfig = { session: Config['session'] };

/** `__Host-` demands Secure, Path=/ and no Domain; the same attributes are needed to clear it. */
const attributes = ({ session }: CookieConfig) => ({
  path: '/',
  httpOnly: true,
  secure: session.cookieSecure,
  sameSite: session.cookieSameSite,
});

/** Seconds until the session's absolute end, for a persistent one; any other cookie ends with the browser. */
export function setRefreshCookie(
  reply: FastifyReply,
  config: CookieConfig,
  token: string,
  maxAgeS: number | null,
): void {
  reply.setCookie(config.session.cookieName, token, {
    ...attributes(config),
    ...(maxAgeS === null ? {} : { maxAge: Math.max(0, Math.floor(maxAgeS)) }),
  });
}

export function clearRefreshCookie(reply: FastifyReply, config: CookieConfig): void {
  reply.clearCookie(config.session.cookieName, attributes(config));
}

/** The refresh token of the cookie, or null without one. A repeated cookie has no meaning and is refused. */
export function refreshCookieOf(request: FastifyRequest, { session }: CookieConfig): string | null {
  return onlyCookie(request, session.cookieName) || null;
}

/**
 * What a new login hands over, in the transport the client chose: with `cookie` the refresh token leaves the answer
 * and goes into the cookie. Nothing revealed, nothing set.
 */
export function deliverRefresh(
  reply: FastifyReply,
  config: CookieConfig,
  transport: TokenTransport,
  revealed: Revealed,
): Revealed {
  if (transport === 'body' || !revealed?.refresh_token) return revealed;
  setRefreshCookie(
    reply,
    config,
    revealed.refresh_token,
    revealed.persistent ? config.session.absoluteTtlS : null,
  );
  return { ...revealed, refresh_token: null };
}
