/**
 * The `access_token` cookie of `/balance_hub`: names one session until a fixed moment and proves that we said so. The
 * session decides on every request, so whatever ends it ends the cookie at once; the cookie alone authorises nothing.
 */
import { timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { LiveSession } from '../../../db/sessions.ts';
import type { Config } from '../../config/index.ts';
import { onlyCookie } from '../../http/cookies.ts';
import { requireOwnOrigin } from '../../http/own-origin.ts';
import type { Services } from '../../http/services.ts';
import { hmacSha256 } from '../../kernel/crypto/hmac.ts';
import type { Keyring } from '../../kernel/crypto/keyring.ts';
import { decodeBase64url, uuidBytes, uuidOf } from '../../kernel/crypto/opaque-id.ts';
import { Problem } from '../../kernel/problems.ts';

/** The documented name, without a prefix: existing clients look for it. */
export const COOKIE_NAME = 'access_token';

/** Sent to these routes only, so that no other one can come to trust it. */
const attributes = ({ session }: Pick<Config, 'session'>) => ({
  path: '/balance_hub',
  httpOnly: true,
  secure: session.cookieSecure,
  sameSite: 'lax' as const,
});

/** `session.expiry.mac`, base64url: 16 bytes, 6 bytes of milliseconds, 32 bytes of HMAC-SHA-256 over both. */
export function cookieValueFor(key: Buffer, sessionId: string, expiresAt: number): string {
  const expiry = Buffer.alloc(6);
  expiry.writeUIntBE(expiresAt, 0, 6);
  const id = uuidBytes(sessionId);
  const mac = hmacSha256(key, Buffer.concat([id, expiry]));
  return [id, expiry, mac].map((bytes) => bytes.toString('base64url')).join('.');
}

/** The session and moment a value of ours names; null for any other text. Says nothing about whether they still hold. */
export function readCookieValue(key: Buffer, text: string): { sessionId: string; expiresAt: number } | null {
  const [id, expiry, mac, ...more] = text.length === 75 ? text.split('.') : [];
  const sessionBytes = id === undefined ? null : decodeBase64url(id, 16);
  const expiryBytes = expiry === undefined ? null : decodeBase64url(expiry, 6);
  const sessionId = sessionBytes && uuidOf(sessionBytes);
  if (!sessionId || !expiryBytes || mac === undefined || more.length > 0) return null;
  const expiresAt = expiryBytes.readUIntBE(0, 6);
  const [given, own] = [Buffer.from(text), Buffer.from(cookieValueFor(key, sessionId, expiresAt))];
  return given.length === own.length && timingSafeEqual(given, own) ? { sessionId, expiresAt } : null;
}

/** When a cookie set now ends, and with it its session. */
export const cookieEnd = ({ session }: Pick<Config, 'session'>, now: number): number =>
  now + session.balanceHubTtlS * 1000;

export function setSessionCookie(
  reply: FastifyReply,
  { config, keyring }: { config: Pick<Config, 'session'>; keyring: Keyring },
  sessionId: string,
  now: number,
): void {
  const maxAge = config.session.balanceHubTtlS;
  const value = cookieValueFor(keyring.key('cookie'), sessionId, cookieEnd(config, now));
  reply.setCookie(COOKIE_NAME, value, { ...attributes(config), maxAge });
}

export function clearSessionCookie(reply: FastifyReply, config: Pick<Config, 'session'>): void {
  reply.clearCookie(COOKIE_NAME, attributes(config));
}

/**
 * The live session the cookie names; null without a cookie, or with one that is no longer valid.
 * @throws Problem foreign_origin when another site made a browser send it, validation_failed when it was sent twice
 */
export async function sessionOfCookie(
  request: FastifyRequest,
  s: Pick<Services, 'config' | 'keyring' | 'sessions' | 'clock'>,
): Promise<LiveSession | null> {
  const text = onlyCookie(request, COOKIE_NAME);
  if (text === undefined) return null;
  requireOwnOrigin(request, s.config);
  return sessionNamedBy(text, s);
}

/** The live session that a value of the cookie names, while both last. */
export async function sessionNamedBy(
  text: string,
  s: Pick<Services, 'keyring' | 'sessions' | 'clock'>,
): Promise<LiveSession | null> {
  const named = readCookieValue(s.keyring.key('cookie'), text);
  if (!named || named.expiresAt <= s.clock.now()) return null;
  return s.sessions.live(named.sessionId, new Date(s.clock.now()));
}

/** As `authenticate` does for an access token. @throws Problem unauthenticated, invalid_token, foreign_origin, rate_limited */
export async function authenticateByCookie(request: FastifyRequest, s: Services): Promise<LiveSession> {
  if (onlyCookie(request, COOKIE_NAME) === undefined) throw new Problem('unauthenticated');
  const live = await sessionOfCookie(request, s);
  if (!live) throw new Problem('invalid_token');
  await s.limits.user({ accountId: `user:${live.account.id}` });
  s.activity.used(live.session);
  return live;
}
