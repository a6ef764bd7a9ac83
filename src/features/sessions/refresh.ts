/**
 * Spends a refresh token and gives the next one. Whatever an attacker or a bad network does, a family has one live
 * successor. A spent token shown by another client ends its session; shown late, it ends every session of its user.
 */
import type { Family, Grantee } from '../../../db/refresh.ts';
import { scopeOf } from '../../../machines/login.ts';
import type { SendContext } from '../../engine/engine.ts';
import { answerLost, isReplay, reservationOf, settled, unlessTakenOver } from '../../engine/keyed-run.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';
import {
  authenticRefresh,
  parseRefreshToken,
  refreshHash,
  refreshTokenFor,
} from '../../kernel/tokens/refresh-secret.ts';

export type Refreshed = {
  accessToken: string;
  expiresIn: number;
  refreshToken: string;
  sessionId: string;
  scope: readonly string[];
  grantee: Grantee;
};

export type Refresh = ReturnType<typeof createRefresh>;

export function createRefresh(
  s: Pick<Services, 'db' | 'refreshes' | 'sessionEnds' | 'tokens' | 'limits' | 'keyring' | 'config'>,
) {
  const { db, refreshes: store, sessionEnds: ends, tokens, limits, keyring } = s;
  const rules = {
    idleMs: s.config.session.idleTtlS * 1000,
    graceMs: s.config.session.refreshGraceS * 1000,
  };
  const tokenOf = (sessionId: string, generation: number) =>
    refreshTokenFor(keyring.key('refresh'), sessionId, generation);

  /** The device, or where none is named the user agent: a client that repeats its request has the same one. */
  const clientOf = ({ deviceId, envelope }: SendContext): string =>
    deviceId === null
      ? keyring.lookupHash('refresh-user-agent', envelope.userAgent ?? '')
      : keyring.lookupHash('refresh-device', deviceId);

  /** Ours by its own secret, before any store is asked; null for any other text. */
  function authentic(token: string) {
    const parsed = parseRefreshToken(token);
    return parsed && authenticRefresh(keyring.key('refresh'), parsed) ? parsed : null;
  }

  async function answer(sessionId: string, generation: number, grantee: Grantee): Promise<Refreshed> {
    const { accountId, tier, roles, acr, amr, authTime } = grantee;
    if (tier === 'UNVERIFIED') throw new Problem('invalid_token');
    const scope = scopeOf(tier);
    const { token, expiresIn } = await tokens.issueAccessToken({
      accountId,
      sessionId,
      tier,
      scope,
      roles,
      acr,
      amr,
      authTime,
      mfa: acr === 'aal2',
    });
    return {
      accessToken: token,
      expiresIn,
      refreshToken: tokenOf(sessionId, generation),
      sessionId,
      scope,
      grantee,
    };
  }

  /** What an earlier run of the keyed request rotated to, as long as nothing has moved on from there. */
  async function again(sessionId: string, generation: number, context: SendContext): Promise<Refreshed> {
    const family = await store.family(sessionId, new Date(context.now));
    // A cookie may have reached its client although the body was lost: then the successor itself is presented.
    const steps = (family?.generation ?? 0) - generation;
    if (!family?.open || steps < 0 || steps > 1) throw answerLost();
    settled(context);
    return answer(sessionId, family.generation, family);
  }

  return {
    /** @throws Problem invalid_token, rate_limited (nothing is spent then), dependency_unavailable (likewise) */
    async rotate(token: string, context: SendContext): Promise<Refreshed> {
      const parsed = authentic(token);
      if (!parsed) throw new Problem('invalid_token');
      const { sessionId, generation } = parsed;
      if (isReplay(context)) return again(sessionId, generation, context);
      await limits.refresh({ sessionId });
      const now = new Date(context.now);
      const rotation = {
        sessionId,
        generation,
        hash: refreshHash(token),
        nextHash: refreshHash(tokenOf(sessionId, generation + 1)),
        client: clientOf(context),
        now,
        idleExpiresAt: new Date(context.now + rules.idleMs),
        reservation: reservationOf(context),
      };
      const grantee = await store.rotate(rotation).catch(async (error) => {
        throw await unlessTakenOver(db, context, error);
      });
      if (grantee) {
        settled(context);
        return answer(sessionId, generation + 1, grantee);
      }

      const family = await store.family(sessionId, now);
      if (!family?.open || generation >= family.generation) throw new Problem('invalid_token');
      const justSpent =
        generation === family.generation - 1 && context.now - family.rotatedAt <= rules.graceMs;
      const sameClient = family.rotatedBy === null || family.rotatedBy === clientOf(context);
      if (justSpent && sameClient) return answer(sessionId, family.generation, family);
      await ends.end(
        {
          accountId: family.accountId,
          sessionId,
          which: justSpent ? 'this' : 'all',
          reason: 'token_reuse',
          event: { type: 'token.reuse_detected', outcome: 'failure', reason: 'token_reuse' },
        },
        context,
      );
      throw new Problem('invalid_token');
    },

    /** The session whose family the token belongs to, spent or not, while it is open; null for any other text. */
    async sessionOf(token: string, now: Date): Promise<string | null> {
      const parsed = authentic(token);
      if (!parsed) return null;
      return (await store.family(parsed.sessionId, now))?.open ? parsed.sessionId : null;
    },

    /** The open family whose current token this is, or null; changes nothing, whatever is presented. */
    async current(token: string, now: Date): Promise<{ sessionId: string; family: Family } | null> {
      const parsed = authentic(token);
      if (!parsed) return null;
      const family = await store.family(parsed.sessionId, now);
      return family?.open && family.generation === parsed.generation
        ? { sessionId: parsed.sessionId, family }
        : null;
    },
  };
}
