/**
 * A password as the first proof of a login: throttle, one hash, and what comes of it. Known and unknown identifiers
 * take the same steps; nothing here may tell them apart before the password has been right.
 */
import type { PasswordLogin } from '../../../db/password-logins.ts';
import type { Result } from '../../engine/engine.ts';
import type { OpenSecret } from '../../engine/factors/kind.ts';
import { auditRow } from '../../engine/records.ts';
import { renewHash } from '../../engine/renew-hash.ts';
import { type Caller, mint, phoneReader } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import type { TypedCode } from '../../kernel/crypto/typed-code.ts';
import { Problem } from '../../kernel/problems.ts';

export type PasswordAttempt = {
  contactId: string;
  password: string;
  persistent: boolean;
  /** When the session ends at the latest; null: by the rules of the deployment. */
  endsAt: number | null;
  /** The code of the second factor, where the way in takes it along. */
  code?: TypedCode | null;
};

/** @throws Problem invalid_credentials, rate_limited, overloaded; invalid_code for a wrong code of a second factor */
export async function logInByPassword(
  s: Pick<
    Services,
    | 'engine'
    | 'proofs'
    | 'factors'
    | 'checkFactor'
    | 'hasher'
    | 'passwordLogins'
    | 'config'
    | 'db'
    | 'windows'
    | 'limits'
  >,
  { contactId, password, persistent, endsAt, code = null }: PasswordAttempt,
  caller: Caller,
): Promise<Result & { login: PasswordLogin }> {
  const { proofs, passwordLogins } = s;
  const read = () => passwordLogins.read({ contactId, deviceId: caller.deviceId, now: caller.now });

  const first = await read();
  proofs.passwordBudget(first, caller.now);
  const checked = first.credential?.passwordHash ?? null;
  const matches = await s.hasher.verify(checked, password, first.account?.id ?? null);
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

  const codeSuppressed = await takeCodeBudget(s, first, caller);
  let login = first;
  let fresh: PasswordLogin | null = first;
  const [flowId, sessionId] = [mint(), mint()];
  const open = s.factors.opener();
  const result = await s.engine.openOn(
    'login',
    async () => {
      login = fresh ?? (await read());
      fresh = null;
      proofs.passwordBudget(login, caller.now);
      // Changed between the check and the decision: the proof is void. A new hash of the same password is no change.
      if (!login.account || login.credential?.passwordVersion !== first.credential?.passwordVersion)
        throw new Problem('invalid_credentials');
      const answer =
        code && login.factors.length > 0 ? await checkedCode(s, login, { code, open }, caller) : null;
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
          answered: answer?.factor.id ?? null,
          codeSuppressed,
        }),
        enclosures: answer?.use ? { factorUse: answer.use } : {},
      };
    },
    caller,
  );
  await renewHash(s, { accountId: first.account.id, kind: 'password', hash: checked, secret: password });
  return { ...result, login };
}

/** A right code; a wrong one is counted here, and the login does not begin. @throws Problem invalid_code, rate_limited */
async function checkedCode(
  { proofs, factors, checkFactor }: Pick<Services, 'proofs' | 'factors' | 'checkFactor'>,
  login: PasswordLogin,
  { code, open }: { code: TypedCode; open: OpenSecret },
  caller: Caller,
) {
  const verdict = await factors.verdict(login.factors, code, caller.now, open);
  if (!verdict) return null;
  const { factor, use } = verdict;
  proofs.factorBudget(factor.accountId, factor.id, factor.failures);
  if (use) return verdict;
  await checkFactor({ accountId: factor.accountId, sessionId: null, code }, caller);
  throw new Problem('invalid_code');
}

/** Whether the code that a restored password needs beside it may not be sent. @throws Problem rate_limited */
async function takeCodeBudget(
  { limits, config }: Pick<Services, 'limits' | 'config'>,
  { credential, contactProven, contactType, canonical }: PasswordLogin,
  caller: Caller,
): Promise<boolean> {
  if (!credential?.passwordRestored || !contactProven || canonical === null) return false;
  const phone = contactType === 'phone' ? phoneReader(config)(canonical) : null;
  const { suppressed } = await limits.codeSend(
    {
      purpose: 'login',
      identifier: canonical,
      network: caller.network,
      ...(phone ? { range: phone.range, country: phone.country } : {}),
    },
    caller,
  );
  return suppressed;
}
