/** Stores JWT signing keys; the private half arrives sealed. */

import type { Database } from './client.ts';
import { eq } from './driver/drizzle.ts';
import { signingKeys } from './schema.ts';

export type SigningKeyRow = typeof signingKeys.$inferSelect;

export const createSigningKeys = (db: Database) => ({
  load: (): Promise<SigningKeyRow[]> => db.reads.select().from(signingKeys),

  /** False when the kid, or the one place of an active or next key, is taken. */
  async insert(row: SigningKeyRow): Promise<boolean> {
    const inserted = await db.reads
      .insert(signingKeys)
      .values(row)
      .onConflictDoNothing()
      .returning({ kid: signingKeys.kid });
    return inserted.length > 0;
  },

  async setStatus(kid: string, status: SigningKeyRow['status'], changedAt: Date): Promise<void> {
    await db.reads.update(signingKeys).set({ status, changedAt }).where(eq(signingKeys.kid, kid));
  },
});
