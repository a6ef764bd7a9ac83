/** What every kind of second factor does alike for its owner: set up, get backup codes, end. */
import type { NewFactor } from '../../db/factors.ts';
import { newBackupCodes } from '../engine/factors/backup-codes.ts';
import { answerLost, isReplay } from '../engine/keyed-run.ts';
import type { FlowView } from '../engine/snapshots.ts';
import { Problem } from '../kernel/problems.ts';
import type { Authenticated } from './authenticate.ts';
import { type Caller, mint } from './request-context.ts';
import type { Services } from './services.ts';

export type NewSetup = {
  /** Id of the factor and of its flow. */
  id: string;
  /** As it was read when its owner stepped up. */
  account: { id: string; eventSeq: number };
  kind: 'totp' | 'passkey';
  factor: NewFactor;
};

/**
 * The factor counts for nothing before it is confirmed. What its owner confirms it with is shown once: another secret
 * or challenge would not be the stored one.
 * @throws Problem idempotency_answer_lost, conflict
 */
export async function setUpFactor(
  { engine, config }: Pick<Services, 'engine' | 'config'>,
  { id, account, kind, factor }: NewSetup,
  caller: Caller,
): Promise<{ flow: FlowView; ttlMs: number }> {
  if (isReplay(caller)) throw answerLost();
  const ttlMs = config.flow.challengeTtlS * 1000;
  const { flow } = await engine.openOn(
    'factor',
    async () => ({
      flowId: id,
      tokenTtlMs: ttlMs,
      account,
      event: {
        type: 'SETUP_STARTED',
        now: caller.now,
        accountId: account.id,
        factorId: id,
        kind,
        attempts: config.code.secondFactorAttempts,
        ttlMs,
      },
      enclosures: { factor },
    }),
    caller,
  );
  return { flow, ttlMs };
}

/** A new set, to be stored as hashes and shown once. */
export const backupCodesFor = ({ keyring }: Pick<Services, 'keyring'>, accountId: string) => ({
  id: mint(),
  ...newBackupCodes(keyring.key('backup_codes'), accountId),
});

/** A retry cannot tell the backup codes that came with the confirmation. @throws Problem idempotency_answer_lost */
export async function refuseConfirmedBefore({ engine }: Pick<Services, 'engine'>, caller: Caller) {
  const earlier = await engine.replay('factor', caller);
  if (earlier && earlier.flow.state !== 'setup') throw answerLost();
}

/** Without another second factor the backup codes end as well. The caller has stepped up. @throws Problem not_found */
export async function endFactor(
  { engine, factors }: Pick<Services, 'engine' | 'factors'>,
  { account, session }: Authenticated,
  id: string,
  caller: Caller,
): Promise<{ othersLeft: boolean }> {
  let othersLeft = false;
  await engine.send(
    'factor',
    { id },
    (loaded) => {
      if (loaded.flow.accountId !== account.id) throw new Problem('not_found');
      othersLeft = factors.enrolled(loaded.factors.filter((factor) => factor.id !== id));
      return {
        event: { type: 'DISABLED', now: caller.now, authorized: true, othersLeft, sessionId: session.id },
      };
    },
    caller,
  );
  return { othersLeft };
}
