/** Opens a recovery for an address, known or not, with the same work either way. Shared by every route that may ask. */
import type { Email } from './identifiers.ts';
import { type Caller, mint } from './request-context.ts';
import type { Services } from './services.ts';

/** @throws Problem rate_limited */
export async function askForReset(s: Services, email: Email, caller: Caller): Promise<void> {
  const contactId = s.keyring.lookupId('email', email.canonical);
  await s.limits.recoveryRequest({ identifier: email.canonical, network: caller.network });
  const { suppressed } = await s.limits.mail({ recipient: email.canonical });
  const ttlMs = s.config.password.resetTtlS * 1000;
  await s.engine.openOn(
    'recovery',
    async () => {
      const owner = await s.accounts.byContact(contactId, { deviceId: null, now: new Date(caller.now) });
      const active = owner?.account.status === 'active' ? owner : null;
      return {
        flowId: mint(),
        tokenTtlMs: ttlMs,
        event: {
          type: 'RESET_REQUESTED',
          now: caller.now,
          contactId,
          accountId: active?.account.id ?? null,
          passwordVersion: active ? (active.credential?.passwordVersion ?? 0) : null,
          suppressed,
          ttlMs,
        },
        enclosures: {
          contact: { id: contactId, type: 'email', canonical: email.canonical, value: email.original },
        },
        ...(active ? { account: { id: active.account.id, eventSeq: active.account.eventSeq } } : {}),
      };
    },
    caller,
  );
}
