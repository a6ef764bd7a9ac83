/** Signs tokens after the commit, and only for a login that the machine granted. There is no other way to a token. */
import { assurance, type LoginContext, methodsUsed } from '../../../machines/login.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import type { Services } from '../../http/services.ts';
import { refreshTokenFor } from '../../kernel/tokens/refresh-secret.ts';

/** Tokens exist only for a login the machine granted; signed after its commit. */
export type Revealed = {
  access_token: string;
  token_type: 'Bearer';
  expires_in: number;
  refresh_token: string | null;
  /** For the cookie's life; no part of an answer. */
  persistent: boolean;
} | null;

export async function revealLogin(
  s: Pick<Services, 'tokens' | 'keyring'>,
  login: FlowView,
  /** As read for the decision; somebody who has just signed up has none. */
  roles: readonly string[] = [],
): Promise<Revealed> {
  if (!login.tags.has('granted')) return null;
  const c = login.context as unknown as LoginContext;
  if (!c.subject || c.subject.tier === 'UNVERIFIED') return null;
  const { token, expiresIn } = await s.tokens.issueAccessToken({
    accountId: c.subject.accountId,
    sessionId: c.sessionId,
    tier: c.subject.tier,
    scope: c.scope,
    roles,
    acr: assurance(c),
    amr: methodsUsed(c),
    authTime: c.provedAt,
    mfa: assurance(c) === 'aal2',
  });
  return {
    access_token: token,
    token_type: 'Bearer',
    expires_in: expiresIn,
    refresh_token: refreshTokenFor(s.keyring.key('refresh'), c.sessionId, 1),
    persistent: c.persistent,
  };
}
