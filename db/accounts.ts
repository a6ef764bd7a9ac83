/** Reads who owns a contact, in one round trip, for a lifecycle that is opened on an account. Writes nothing. */
import type { Database } from './client.ts';
import { eq, sql } from './drizzle.ts';
import { accounts, contacts, credentials } from './schema.ts';

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

  return {
    /** The account that owns the contact, or undefined. */
    ownerOf: async (contactId: string) => (await owner.execute({ contactId }))[0],
  };
}
