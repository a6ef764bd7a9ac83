/** Setting up, confirming and ending a second factor: each proves first and then lets the factor machine decide. */
import * as factorRows from '../../../db/factors.ts';
import { sealContext } from '../../engine/factors/index.ts';
import { enrolment, matchingStep, newSecret } from '../../engine/factors/totp.ts';
import { answerLost, isReplay } from '../../engine/keyed-run.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import type { Authenticated } from '../../http/authenticate.ts';
import { backupCodesFor, endFactor, refuseConfirmedBefore, setUpFactor } from '../../http/factor-flows.ts';
import { type Caller, mint } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';

const none = () => new Problem('conflict', { detail: 'No authenticator app is set up.' });

/** A secret of its own, sealed; it counts for nothing before its first code. One that is in use stays until then. */
export async function setUpTotp(
  s: Services,
  { account, phone, email }: Authenticated,
  { label, eventSeq }: { label: string | null; eventSeq: number },
  caller: Caller,
) {
  const { issuer, stepS } = s.config.totp;
  const id = mint();
  const secret = s.proofs.demoTotpSecret(phone?.value ?? null) ?? newSecret();
  const secretSealed = await s.kms.encrypt(secret, sealContext(id));
  // The step stays that of the day it was set up, whatever the setting says later: the app knows no other.
  const factor = { secretSealed, label, details: { stepS } };
  const setup = { id, account: { id: account.id, eventSeq }, kind: 'totp' as const, factor };
  const { flow, ttlMs } = await setUpFactor(s, setup, caller);
  const accountName = email?.value ?? phone?.value ?? account.id;
  const { uri, picture } = enrolment({ secret, issuer, account: accountName, stepS });
  return { flow, secret, uri, picture, issuer, accountName, ttlMs };
}

/** The first code of the app makes it count; an app from before is replaced in the same commit. */
export async function enableTotp(
  s: Services,
  { account, session }: Authenticated,
  digits: string,
  caller: Caller,
): Promise<{ flow: FlowView; backupCodes: string[] }> {
  await refuseConfirmedBefore(s, caller);
  const pending = await s.factorRows.pendingOf(account.id, 'totp');
  if (!pending) throw new Problem('conflict', { detail: 'Start with a setup; the one before has ended.' });
  const { id } = pending;
  const secret = await s.kms.decrypt(pending.secretSealed ?? '', sealContext(id));
  const stepS = Number(pending.details.stepS);
  const step = await matchingStep({ secret, code: digits, now: caller.now, stepS, lastStep: null });
  const codes = backupCodesFor(s, account.id);
  const { flow } = await s.engine.send(
    'factor',
    { id },
    async (loaded) => {
      if (loaded.flow.accountId !== account.id) throw new Problem('not_found');
      const before = step === null ? undefined : loaded.factors.find(({ kind }) => kind === 'totp');
      const its = before && (await s.flows.byId(before.id, { deviceId: null, now: new Date(caller.now) }));
      return {
        event: {
          type: 'CONFIRMED',
          now: caller.now,
          ok: step !== null,
          sessionId: session.id,
          codesDue: true,
        },
        enclosures: {
          backupCodes: { id: codes.id, hashes: codes.hashes },
          ...(step === null ? {} : { factorUse: { factorId: id, step } }),
        },
        ...(its
          ? {
              also: [
                {
                  machine: 'factor' as const,
                  loaded: its,
                  event: { type: 'REPLACED' as const, now: caller.now, authorized: true },
                },
              ],
            }
          : {}),
      };
    },
    caller,
  );
  if (flow.state !== 'confirmed') throw new Problem('invalid_code', { state: flow.state });
  return { flow, backupCodes: codes.shown };
}

/** The factor ends with its secret; the last one takes the backup codes with it. The caller has proven both factors. */
export async function disableTotp(
  s: Services,
  live: Authenticated,
  caller: Caller,
): Promise<{ othersLeft: boolean }> {
  const { id } = await requireTotp(s, live, caller);
  return endFactor(s, live, id, caller);
}

/** @throws Problem conflict without one */
export async function requireTotp(s: Services, { account }: Authenticated, caller: Caller) {
  const { factors } = await s.factorRows.ofAccount(account.id, new Date(caller.now));
  const totp = factors.find(({ kind }) => kind === 'totp');
  if (!totp) throw none();
  return totp;
}

/** A new set of backup codes; every earlier one is worth nothing from then on. */
export async function renewBackupCodes(
  s: Services,
  { account, session }: Authenticated,
  caller: Caller,
): Promise<string[]> {
  const { eventSeq, factors } = await s.factorRows.ofAccount(account.id, new Date(caller.now));
  if (!s.factors.enrolled(factors)) throw new Problem('conflict', { detail: 'No second factor is set up.' });
  // The codes of a retry would not be the stored ones.
  if (isReplay(caller)) throw answerLost();
  const codes = backupCodesFor(s, account.id);
  await s.commitAccount(
    {
      account: { id: account.id, eventSeq },
      parts: [
        factorRows.storeCodes(
          { id: codes.id, accountId: account.id, hashes: codes.hashes },
          new Date(caller.now),
        ),
      ],
      event: { type: 'mfa.backup_codes_regenerated', sessionId: session.id },
      notice: 'backup_codes_renewed',
    },
    caller,
  );
  return codes.shown;
}
