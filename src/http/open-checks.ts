/**
 * Code checks by callers who only name an identifier or an account. Whatever they named, known, unknown or blocked, is
 * counted and answered alike: they learn nothing but that a code was wrong, or that there were too many.
 */
import * as throttles from '../../db/throttles.ts';
import type { Result } from '../engine/engine.ts';
import { Problem } from '../kernel/problems.ts';
import type { Services } from './services.ts';

/** Refusals that say nothing about what was named. */
const TELLS_NOTHING: string[] = ['rate_limited', 'validation_failed'];

/** Neither the state nor how many tries are left. */
export const wrongCode = (): Problem => new Problem('invalid_code', { members: { valid: false } });

const oneMore = (windows: throttles.Window[], counts: Record<string, number>) =>
  Object.fromEntries(windows.map(({ key }) => [key, (counts[key] ?? 0) + 1]));

/**
 * A check of what `name` stands for: the id of a contact, or of an account.
 * @throws Problem invalid_code for every refusal, rate_limited from the one on that uses up the name's budget
 */
export async function openCheck(
  { db, proofs, windows }: Pick<Services, 'db' | 'proofs' | 'windows'>,
  { name, now }: { name: string; now: number },
  check: () => Promise<Result>,
): Promise<Result> {
  const own = windows.codeWindows(name, false);
  try {
    return await check();
  } catch (error) {
    if (!(error instanceof Problem) || error.status >= 500 || TELLS_NOTHING.includes(error.code)) throw error;
    const counts = await throttles.counts(db, own, new Date(now));
    proofs.budgetOf(own, counts);
    await throttles.countNow(db, own, new Date(now));
    proofs.budgetOf(own, oneMore(own, counts));
    throw new Problem('invalid_code', wrongCode().extras, { cause: error });
  }
}

/** The answer to a code that was wrong and has been counted with its flow, which tells as much as the one above. */
export function openlyWrong(
  { proofs, windows }: Pick<Services, 'proofs' | 'windows'>,
  { loaded }: Result,
): Problem {
  const own = windows.codeWindows(loaded?.flow.contactId ?? '', false);
  proofs.budgetOf(own, oneMore(own, loaded?.failures ?? {}));
  return wrongCode();
}
