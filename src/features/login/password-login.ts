/**
 * A password as the first proof of a login: throttle, one hash, and what comes of it. Known and unknown identifiers
 * take the same steps; nothing here may tell them apart before the password has been right.
 */
import * as credentials from '../../../db/credentials.ts';
import type { PasswordLogin } from '../../../db/password-logins.ts';
import type { Result } from '../../engine/engine.ts';
import { auditRow } from '../../engine/records.ts';
import { type Caller, mint } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';

export type PasswordAttempt = {
  contactId: string;
  password: string;
  persistent: boolean;
  /** When the session ends at the latest; null: by the rules of the deployment. */
  endsAt: number | null;
};

/** @throws Problem invalid_credentials, rate_limited, overloaded */
export async function logInByPassword(
  s: Pick<Services, 'engine' | 'proofs' | 'hasher' | 'passwordLogins' | 'config' | 'db' | 'windows'>,
  { contactId, password, persistent, endsAt }: PasswordAttempt,
  caller: Caller,
): Promise<Result & { login: PasswordLogin }> {
  const { proofs, passwordLogins } = s;
  const read = () => passwordLogins.read({ contactId, deviceId: caller.deviceId, now: caller.now });

  const first = await read();
  proofs.passwordBudget(first, caller.now);
  const checked = first.credential?.passwordHash ?? null;
  const matches = await s.hasher.verify(checked, password);
  if (!matches || checked === null || !first.account) {
    const record = auditRow(
      {
        type: 'login.failed',
        accountId: first.account?.id ?? null,
        outcome: 'failure',
        reason: 'password',
        data: { contactId },
      },
      { envelope: caller.envelope, at: new Date(caller.now), flowId: null },
    );
    const windows = s.windows.loginWindows(first.subjectId, first.deviceId);
    throw proofs.wrongPassword(await passwordLogins.fail(windows, record, caller.now), caller.now);
  }

  let login = first;
  let fresh: PasswordLogin | null = first;
  const [flowId, sessionId] = [mint(), mint()];
  const result = await s.engine.openOn(
    'login',
    async () => {
      login = fresh ?? (await read());
      fresh = null;
      proofs.passwordBudget(login, caller.now);
      // Changed between the check and the decision: the proof is void.
      if (!login.account || login.credential?.passwordHash !== checked)
        throw new Problem('invalid_credentials');
      return {
        flowId,
        tokenTtlMs: s.config.flow.challengeTtlS * 1000,
        account: login.account,
        event: proofs.primaryProved({
          now: caller.now,
          method: 'password',
          contactId,
          subject: proofs.passwordSubject(login),
          sessionId,
          deviceId: caller.deviceId,
          persistent,
          endsAt,
          highRisk: false,
        }),
      };
    },
    caller,
  );
  if (s.hasher.needsRehash(checked)) await rehash(s, login.account?.id ?? '', checked, password);
  return { ...result, login };
}

/** An old hash becomes one of today's strength; a busy service leaves it for the next login. */
async function rehash(
  { hasher, db }: Pick<Services, 'hasher' | 'db'>,
  accountId: string,
  old: string,
  password: string,
): Promise<void> {
  const fresh = await hasher.hash(password).catch(() => null);
  if (fresh !== null) await credentials.rehash(db, accountId, old, fresh);
}
