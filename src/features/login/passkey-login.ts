/** A passkey as the only proof of a login: possession and a verified user, so two factors at once. */
import type { AuthenticationResponseJSON } from '@simplewebauthn/server';
import type { Result } from '../../engine/engine.ts';
import { type Caller, mint } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';

/** Unknown, wrong, used before: the caller hears the same. @throws Problem invalid_credentials */
export async function logInByPasskey(
  s: Pick<Services, 'engine' | 'proofs' | 'passkeys' | 'passkeyLogins' | 'config'>,
  { response, persistent }: { response: AuthenticationResponseJSON; persistent: boolean },
  caller: Caller,
): Promise<Result & { roles: string[] }> {
  const judge = s.passkeys.judge(response, ['login'], caller.now);
  const [flowId, sessionId] = [mint(), mint()];
  let roles: string[] = [];
  const result = await s.engine.openOn(
    'login',
    async () => {
      const asked = { credentialId: response.id, deviceId: caller.deviceId, now: caller.now };
      const login = await s.passkeyLogins.read(asked);
      const verdict = login && (await judge(login.factors));
      if (!login || !verdict?.use) throw new Problem('invalid_credentials');
      roles = login.account.roles;
      return {
        flowId,
        tokenTtlMs: s.config.flow.challengeTtlS * 1000,
        account: login.account,
        event: s.proofs.primaryProved({
          now: caller.now,
          method: 'passkey',
          contactId: null,
          subject: s.proofs.subject(login),
          sessionId,
          deviceId: caller.deviceId,
          persistent,
          highRisk: verdict.suspicious ?? false,
          firstProof: 'aal2',
          answered: verdict.factor.id,
        }),
        enclosures: { factorUse: verdict.use },
      };
    },
    caller,
  );
  // A retry of a keyed request has decided nothing: its roles are those of the account now.
  return { ...result, roles: result.loaded?.account?.roles ?? roles };
}
