/** What asking for another code does to the budget of callers who only name whose code it is. */
import type { Database } from '../../db/client.ts';
import * as throttles from '../../db/throttles.ts';
import { openKey } from './rules.ts';

/** Another code was asked for in this name: whether or not there is one, it may be guessed at anew. */
export async function anotherCode({ db }: { db: Database }, name: string): Promise<void> {
  await throttles.resetNow(db, openKey(name));
}
