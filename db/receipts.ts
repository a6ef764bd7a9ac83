/** Remembers which provider messages were taken, in the commit of what they caused. */

import type { Database } from './client.ts';
import { eq } from './driver/drizzle.ts';
import { webhookReceipts } from './schema.ts';
import { insert, type WriteFragment } from './write/fragment.ts';

/** VersionConflict when the message was taken before. */
export const take = (id: string, now: Date): WriteFragment =>
  insert(webhookReceipts, [{ id, receivedAt: now }], { onConflict: 'nothing', expectRows: 1 });

export const taken = async (db: Database, id: string): Promise<boolean> =>
  (await db.reads.select().from(webhookReceipts).where(eq(webhookReceipts.id, id))).length > 0;
