/**
 * Forgotten passwords as every route that offers it does it: a link is asked for, known address or not, with the same
 * work either way, and is good for one new password.
 */
import type { LoadedFlow } from '../../../db/flows.ts';
import type { RecoveryContext } from '../../../machines/recovery.ts';
import { acceptPassword } from '../../engine/new-password.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import { badLink, openLink } from '../../http/mailed-link.ts';
import { type Caller, mint } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import type { Email } from '../../kernel/identifiers/index.ts';

/** @throws Problem rate_limited */
export async function askForReset(s: Services, email: Email, caller: Caller): Promise<void> {
  if (await s.engine.replay('recovery', caller)) return;
  const contactId = s.keyring.lookupId('email', email.canonical);
  await s.limits.recoveryRequest({ identifier: email.canonical, network: caller.network });
  const { suppressed } = await s.limits.mail({ recipient: email.canonical });
  const ttlMs = s.config.password.resetTtlS * 1000;
  await s.engine.openOn(
    'recovery',
    async () => {
      const owner = await s.accounts.ownerOf(contactId);
      const active = owner?.status === 'active' ? owner : null;
      return {
        flowId: mint(),
        tokenTtlMs: ttlMs,
        event: {
          type: 'RESET_REQUESTED',
          now: caller.now,
          contactId,
          accountId: active?.id ?? null,
          passwordVersion: active?.passwordVersion ?? null,
          suppressed,
          ttlMs,
        },
        enclosures: {
          contact: { id: contactId, type: 'email', canonical: email.canonical, value: email.original },
        },
        ...(active ? { account: { id: active.id, eventSeq: active.eventSeq } } : {}),
      };
    },
    caller,
  );
}

/** What a token was asked for, as it is now. */
const factsOf = ({ credential, contact }: LoadedFlow) => ({
  passwordVersion: credential?.passwordVersion ?? 0,
  ownerId: contact?.accountId ?? null,
});

/** Sets the password and ends every session. @throws Problem invalid_code, weak_password, rate_limited, overloaded */
export async function resetPassword(
  s: Services,
  { token, password }: { token: string; password: string },
  caller: Caller,
): Promise<{ flow: FlowView; sessionsEnded: number }> {
  const known = await s.engine.replay('recovery', caller);
  if (known) return known;
  const { flowId, alike } = await openLink(s, token, caller);
  const { loaded } = await alike(async () => {
    const read = await s.engine.read('recovery', { id: flowId }, caller);
    s.proofs.holder(read.loaded, token, caller.now);
    // Before the new password is looked at: a spent token must not tell whether it is the present one.
    const { context } = read.view as unknown as { context: RecoveryContext };
    const facts = factsOf(read.loaded);
    if (
      read.view.done ||
      facts.passwordVersion !== context.passwordVersion ||
      facts.ownerId !== context.accountId
    )
      throw badLink();
    return read;
  });
  const { accountId } = loaded.flow;
  if (accountId === null) throw badLink();
  const passwordHash = await acceptPassword(s, password, {
    accountId,
    context: await s.users.identityOf(accountId),
    previous: loaded.credential?.passwordHash ?? null,
    pointer: '/body/new_password',
  });
  return alike(() =>
    s.engine.send(
      'recovery',
      { id: flowId },
      (fresh) => {
        s.proofs.holder(fresh, token, caller.now);
        return {
          event: { type: 'PASSWORD_RESET', now: caller.now, ...factsOf(fresh) },
          enclosures: { credentials: { passwordHash, pinHash: null } },
        };
      },
      caller,
    ),
  );
}
