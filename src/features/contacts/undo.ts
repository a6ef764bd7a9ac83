/**
 * Changes of an account's contacts: a notice goes to the addresses the account had before, with a link that undoes them. The link
 * goes to no address that was itself added within the time in which that could be undone: it may be an intruder's.
 */
import { provenContacts, undoFacts } from '../../../db/contact-changes.ts';
import type { ContactChangeContext, ContactChangeEvent } from '../../../machines/contact-change.ts';
import type { FlowView } from '../../engine/snapshots.ts';
import { openLink } from '../../http/mailed-link.ts';
import { type Caller, mint } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';

type Changed = { id: string; type: 'phone' | 'email' };

async function before(s: Services, accountId: string, now: number) {
  const ttlMs = s.config.flow.contactUndoTtlS * 1000;
  const known = await provenContacts(s.db, accountId, new Date(now - ttlMs));
  const settled = known.filter((c) => !c.recent);
  const readers = settled.filter((c) => c.type === 'email').map((c) => c.id);
  return { ttlMs, known, settled, readers };
}

/** What proving a contact opens for the account that adds it. */
export async function additionOf(
  s: Services,
  { accountId, contact }: { accountId: string; contact: Changed },
  now: number,
): Promise<{ flowId: string; event: ContactChangeEvent }> {
  const { ttlMs, known, settled, readers } = await before(s, accountId, now);
  // One that is proven again does not come, and must not go by a link either.
  const own = known.some((c) => c.id === contact.id);
  const previous = settled.find((c) => c.type === contact.type) ?? settled.find((c) => c.type === 'email');
  return {
    flowId: mint(),
    event: {
      type: 'CONTACT_ADDED',
      now,
      contactId: contact.id,
      accountId,
      previousId: previous?.id ?? null,
      readers: own ? [] : readers,
      ttlMs,
    },
  };
}

/** @throws Problem conflict for the last proven contact, and when the account changed meanwhile */
export async function removeContact(
  s: Services,
  { account, contactId }: { account: { id: string; eventSeq: number }; contactId: string },
  caller: Caller,
): Promise<void> {
  await s.engine.openOn(
    'contact_change',
    async () => {
      const { ttlMs, readers } = await before(s, account.id, caller.now);
      return {
        flowId: mint(),
        tokenTtlMs: ttlMs,
        event: {
          type: 'CONTACT_REMOVED',
          now: caller.now,
          contactId,
          accountId: account.id,
          readers,
          ttlMs,
        },
        account,
      };
    },
    caller,
  );
}

/** Takes the change back and ends every session. @throws Problem invalid_code, rate_limited */
export async function undoChange(
  s: Services,
  token: string,
  caller: Caller,
): Promise<{ flow: FlowView; sessionsEnded: number }> {
  const known = await s.engine.replay('contact_change', caller);
  if (known) return known;
  const { flowId, alike } = await openLink(s, token, caller);
  return alike(() =>
    s.engine.send(
      'contact_change',
      { id: flowId },
      async (loaded, view) => {
        s.proofs.holder(loaded, token, caller.now);
        const { accountId, contactId, previousId } = view.context as ContactChangeContext;
        const facts = await undoFacts(s.db, { accountId: accountId ?? '', contactId, previousId });
        const ownerId = loaded.contact?.accountId ?? null;
        return { event: { type: 'CHANGE_UNDONE', now: caller.now, ownerId, ...facts } };
      },
      caller,
    ),
  );
}
