/** Sessions over HTTP: refresh, logout, the list of one's own devices, and introspection for services. */
import { z } from 'zod';
import type { createSessionStore } from '../../../db/sessions.ts';
import { deviceInput } from '../../http/inputs.ts';
import type { Refreshed } from './refresh.ts';
import { deviceLabel } from './user-agent.ts';

export const refreshBody = z
  .strictObject({
    refresh_token: z.string().max(4096).optional().describe('Only when it is not in the cookie'),
    device_id: deviceInput
      .optional()
      .describe('Stable identifier of the device; a repetition within the grace must carry the same one'),
  })
  .nullish()
  .meta({ id: 'Refresh' });

export const refreshAnswer = z
  .object({
    access_token: z.string(),
    token_type: z.literal('Bearer'),
    expires_in: z.number().describe('Seconds the access token lives'),
    refresh_token: z.string().nullable().describe('Null when it travels in the cookie'),
    user_id: z.string(),
    session_id: z.string(),
    account_tier: z.string(),
    scope: z.string(),
  })
  .meta({ id: 'Refreshed' });

export function refreshContract(r: Refreshed, transport: 'body' | 'cookie') {
  return {
    access_token: r.accessToken,
    token_type: 'Bearer' as const,
    expires_in: r.expiresIn,
    refresh_token: transport === 'body' ? r.refreshToken : null,
    user_id: r.grantee.accountId,
    session_id: r.sessionId,
    account_tier: r.grantee.tier,
    scope: r.scope.join(' '),
  };
}

export const logoutBody = z
  .strictObject({ all_devices: z.boolean().default(false).describe('Every session, not only this one') })
  .nullish()
  .meta({ id: 'Logout' });

export const sessionsEndedAnswer = z
  .object({ message: z.string(), sessions_revoked: z.int() })
  .meta({ id: 'SessionsEnded' });

export const sessionParams = z.strictObject({ session_id: z.uuid() });

export const sessionsAnswer = z
  .object({
    sessions: z.array(
      z.object({
        session_id: z.string(),
        device: z.string().nullable().describe('Browser and system, as the client names itself'),
        device_fingerprint: z.string().nullable().describe('The same for the same device; no secret'),
        ip: z.string().nullable().describe('The network, coarsely: IPv4 /24, IPv6 /48'),
        country: z.string().nullable(),
        created_at: z.string(),
        last_active_at: z.string().describe('Noted at most once a minute'),
        expires_at: z.string().describe('The end that no use postpones'),
        current: z.boolean(),
      }),
    ),
    total: z.int(),
  })
  .meta({ id: 'Sessions' });

/** What its owner is shown of the keyed hash that names a device, here and in the list of devices. */
export const shownId = (deviceId: string): string => deviceId.slice(0, 32);

type ListedSession = Awaited<ReturnType<ReturnType<typeof createSessionStore>['list']>>[number];

export function sessionsContract(sessions: ListedSession[], currentId: string) {
  return {
    sessions: sessions.map((s) => ({
      session_id: s.id,
      device: deviceLabel(s.userAgent),
      device_fingerprint: s.deviceId === null ? null : shownId(s.deviceId),
      ip: coarse(s.network),
      country: s.country,
      created_at: s.createdAt.toISOString(),
      last_active_at: s.lastActiveAt.toISOString(),
      expires_at: s.expiresAt.toISOString(),
      current: s.id === currentId,
    })),
    total: sessions.length,
  };
}

/** Enough to recognise where one was, too little to find somebody. */
function coarse(network: string | null): string | null {
  if (network === null) return null;
  if (network.includes(':')) return `${network.split(':').slice(0, 3).join(':')}::/48`;
  const bytes = network.split('.');
  return bytes.length === 4 ? `${bytes.slice(0, 3).join('.')}.0/24` : null;
}

export const introspectBody = z
  .strictObject({
    token: z.string().min(1).max(4096),
    token_type_hint: z.string().max(64).optional().describe('Not needed, and a wrong one does not mislead'),
  })
  .meta({ id: 'Introspect' });

/** What the form of RFC 7662 section 2.1 may carry; other parameters of it are ignored. */
export const introspectForm = Object.keys(introspectBody.shape);

/** RFC 7662 section 2.2. Nothing but `active` about a token that is not in force. */
export const introspectAnswer = z
  .object({
    active: z.boolean(),
    token_type: z.literal('Bearer').optional().describe('Of an access token (RFC 6749 section 5.1)'),
    token_use: z
      .enum(['access_token', 'refresh_token'])
      .optional()
      .describe('A refresh token opens nothing but its refresh'),
    sub: z.string().optional(),
    client_id: z.string().optional(),
    scope: z.string().optional(),
    iss: z.string().optional(),
    aud: z.string().optional(),
    exp: z.number().optional(),
    iat: z.number().optional(),
    nbf: z.number().optional(),
    jti: z.string().optional(),
    sid: z.string().optional(),
    tier: z.string().optional(),
    roles: z.array(z.string()).optional(),
    acr: z.string().optional(),
    amr: z.array(z.string()).optional(),
    auth_time: z.number().optional(),
  })
  .meta({ id: 'Introspected' });
