/**
 * Code checks by callers who only name an identifier or an account. Whatever they named, known, unknown or blocked, is
 * counted and answered alike: they learn nothing but that a code was wrong, or that there were too many.
 */
import * as throttles from '../../db/throttles.ts';
import { persistently } from '../engine/contention.ts';
import type { Result } from '../engine/engine.ts';
import { Problem } from '../kernel/problems.ts';
import type { Services } from './services.ts';

/** Refusals that say nothing about what was named. */
const TELLS_NOTHING: string[] = ['rate_limited', 'validation_failed'];

/** Neither the state nor how many tries are left. */
export const wrongCode = (): Problem => new Problem('invalid_code', { members: { valid: false } });

type Counts = Record<string, number>;
/** The windows of a name as they are at these counts. */
type WindowsAt = (counts: Counts) => throttles.Window[];

const oneMore = (windowsAt: WindowsAt, counts: Counts): Counts =>
  Object.fromEntries(windowsAt(counts).map(({ key }) => [key, (counts[key] ?? 0) + 1]));

/** Tries to count a failure while others count theirs. */
const TRIES = 5;

/**
 * A check of what `name` stands for: the id of a contact, or of an account.
 * @throws Problem invalid_code for every refusal, rate_limited from the one on that uses up the name's budget
 */
export async function openCheck(
  { db, proofs, windows }: Pick<Services, 'db' | 'proofs' | 'windows'>,
  { name, network, now }: { name: string; network: string; now: number },
  check: () => Promise<Result>,
): Promise<Result> {
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof Problem) || error.status >= 500 || TELLS_NOTHING.includes(error.code)) throw error;
    const caller = { holder: false, network, knownDevice: false };
    const windowsAt: WindowsAt = (counts) => windows.codeWindows(name, caller, counts);
    await persistently(TRIES, async () => {
      const counts = await throttles.counts(db, windowsAt({}), new Date(now));
      proofs.budgetOf(windowsAt(counts), counts);
      await throttles.countWithinNow(db, windowsAt(counts), new Date(now));
      const after = oneMore(windowsAt, counts);
      proofs.budgetOf(windowsAt(after), after);
    });
    throw new Problem('invalid_code', wrongCode().extras, { cause: error });
  }
}

/** The answer to a code that was wrong and has been counted with its flow, which tells as much as the one above. */
export function openlyWrong(
  { proofs }: Pick<Services, 'proofs'>,
  { loaded }: Result,
  network: string,
): Problem {
  if (!loaded) return wrongCode();
  const windowsAt: WindowsAt = (counts) => proofs.codeWindows(loaded, { holder: false, network }, counts);
  const after = oneMore(windowsAt, loaded.failures);
  proofs.budgetOf(windowsAt(after), after);
  return wrongCode();
}
