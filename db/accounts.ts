/** Reads who is behind a contact, and which contact an account waits for, in one round trip each. Writes nothing. */
import type { Database } from './client.ts';
import { and, eq, inArray, sql } from './driver/drizzle.ts';
import { WAITING } from './flows.ts';
import { accounts, contacts, credentials, flows } from './schema.ts';

export type AccountStore = ReturnType<typeof createAccountStore>;

export function createAccountStore(db: Database) {
  const owner = db.reads
    .select({
      id: accounts.id,
      status: accounts.status,
      eventSeq: accounts.eventSeq,
      /** 0 while no password was ever set. */
      passwordVersion: sql<number>`coalesce(${credentials.passwordVersion}, 0)`,
    })
    .from(contacts)
    .innerJoin(accounts, eq(accounts.id, contacts.accountId))
    .leftJoin(credentials, eq(credentials.accountId, accounts.id))
    .where(eq(contacts.id, sql.placeholder('contactId')))
    .prepare('owner_of_contact');

  const waiting = db.reads
    .select({ canonical: contacts.canonical })
    .from(flows)
    .innerJoin(contacts, eq(contacts.id, flows.contactId))
    .where(
      and(
        eq(flows.accountId, sql.placeholder('accountId')),
        eq(flows.machine, 'signup'),
        eq(flows.status, 'active'),
        inArray(flows.state, WAITING),
        eq(contacts.type, 'email'),
      ),
    )
    .limit(1)
    .prepare('waiting_address');

  return {
    /** The account that owns the contact, or undefined. */
    ownerOf: async (contactId: string) => (await owner.execute({ contactId }))[0],

    /**
     * The canonical address whose code the registration of this account waits for; null when none does. Of an account
     * that has got further it tells nothing: its id is public, and its budget must not confirm a guessed address.
     */
    waitingAddressOf: async (accountId: string): Promise<string | null> =>
      (await waiting.execute({ accountId }))[0]?.canonical ?? null,
  };
}
