/** Making and ending a passkey: each proves first and then lets the factor machine decide. */
import type { RegistrationResponseJSON } from '@simplewebauthn/server';
import * as factorRows from '../../../db/factors.ts';
import type { Authenticated } from '../../http/authenticate.ts';
import { backupCodesFor, endFactor, refuseConfirmedBefore, setUpFactor } from '../../http/factor-flows.ts';
import { type Caller, mint } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { Problem } from '../../kernel/problems.ts';

/** So many keys per account, so that a list of them stays one a person can judge. */
const MAX_PASSKEYS = 20;

const mine = async (s: Services, { account }: Authenticated, caller: Caller) =>
  s.factorRows.ofAccount(account.id, new Date(caller.now));

/** It counts for nothing before the browser has answered the challenge. */
export async function beginPasskey(
  s: Services,
  live: Authenticated,
  { label, eventSeq }: { label: string | null; eventSeq: number },
  caller: Caller,
) {
  const { account, phone, email } = live;
  const known = (await mine(s, live, caller)).factors.filter(({ kind }) => kind === 'passkey');
  if (known.length >= MAX_PASSKEYS)
    throw new Problem('conflict', { detail: `An account has at most ${MAX_PASSKEYS} passkeys; remove one.` });
  const id = mint();
  const name = email?.value ?? phone?.value ?? account.id;
  const options = await s.passkeys.registration(
    { factorId: id, accountId: account.id, name, known },
    caller.now,
  );
  const factor = { label, details: {} };
  const setup = { id, account: { id: account.id, eventSeq }, kind: 'passkey' as const, factor };
  return { ...(await setUpFactor(s, setup, caller)), options };
}

/** The key that answered the challenge counts from now on; with the first second factor come backup codes. */
export async function confirmPasskey(
  s: Services,
  { account, session }: Authenticated,
  response: RegistrationResponseJSON,
  caller: Caller,
) {
  await refuseConfirmedBefore(s, caller);
  const pending = await s.factorRows.pendingOf(account.id, 'passkey');
  if (!pending) throw new Problem('conflict', { detail: 'Start with new options; those before have ended.' });
  const made = await s.passkeys.registered(response, pending.id, caller.now);
  const codes = backupCodesFor(s, account.id);
  let codesDue = false;
  const { flow } = await s.engine.send(
    'factor',
    { id: pending.id },
    (loaded) => {
      if (loaded.flow.accountId !== account.id) throw new Problem('not_found');
      codesDue = !loaded.factors.some(({ kind, codes: left }) => kind === 'backup_codes' && left.length > 0);
      return {
        event: { type: 'CONFIRMED', now: caller.now, ok: made !== null, sessionId: session.id, codesDue },
        enclosures: {
          backupCodes: { id: codes.id, hashes: codes.hashes },
          ...(made === null ? {} : { factor: { secretSealed: null, ...made } }),
        },
      };
    },
    caller,
  );
  if (flow.state !== 'confirmed') {
    const detail = 'The passkey was not made for these options, or without verifying its user.';
    throw new Problem('invalid_credentials', { state: flow.state, detail });
  }
  return { flow, backupCodes: codesDue ? codes.shown : null };
}

/** @throws Problem not_found for an id that is no passkey of the account */
async function requirePasskey(s: Services, live: Authenticated, id: string, caller: Caller) {
  const { eventSeq, factors } = await mine(s, live, caller);
  if (!factors.some((factor) => factor.kind === 'passkey' && factor.id === id))
    throw new Problem('not_found');
  return { eventSeq };
}

export async function renamePasskey(
  s: Services,
  live: Authenticated,
  { id, label }: { id: string; label: string },
  caller: Caller,
): Promise<void> {
  const { eventSeq } = await requirePasskey(s, live, id, caller);
  await s.commitAccount(
    {
      account: { id: live.account.id, eventSeq },
      parts: [factorRows.rename(id, label)],
      event: { type: 'mfa.renamed', sessionId: live.session.id },
    },
    caller,
  );
}

/** Without another second factor the backup codes end as well. The caller has stepped up. */
export async function removePasskey(
  s: Services,
  live: Authenticated,
  id: string,
  caller: Caller,
): Promise<{ othersLeft: boolean }> {
  await requirePasskey(s, live, id, caller);
  return endFactor(s, live, id, caller);
}
