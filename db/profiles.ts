/** Reads of the profile that decisions need. */

import type { Database } from './client.ts';
import { eq } from './driver/drizzle.ts';
import { profiles } from './schema.ts';

/** `YYYY-MM-DD`, or null when the person has not told. */
export async function birthDateOf(db: Database, accountId: string): Promise<string | null> {
  const [row] = await db.reads
    .select({ birthDate: profiles.birthDate })
    .from(profiles)
    .where(eq(profiles.accountId, accountId));
  return row?.birthDate ?? null;
}
