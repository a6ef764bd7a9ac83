/** Deletes of what has had its time, in bites that hold no lock for long. */

const BITE = 1000;
/** So many bites in a row; what is left waits for the next round. */
const BITES = 50;

/** Repeats a deletion of at most `limit` rows while it finds as many. */
export async function whileFull(deletion: (limit: number) => Promise<number>): Promise<void> {
  for (let i = 0; i < BITES; i++) if ((await deletion(BITE)) < BITE) return;
}
