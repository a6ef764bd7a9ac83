/** What it means when Postgres refuses a commit because another one was faster. */

/** Thrown when a row was not as it had been read: read again and decide anew. */
export class VersionConflict extends Error {
  constructor(options?: ErrorOptions) {
    super('a row changed since it was read', options);
    this.name = 'VersionConflict';
  }
}

/** A name that another account has: deciding again would not help, unlike with keys that are only minted or locked anew. */
export class UniqueViolation extends Error {
  readonly constraint: string;
  constructor(constraint: string, options?: ErrorOptions) {
    super(`taken: ${constraint}`, options);
    this.name = 'UniqueViolation';
    this.constraint = constraint;
  }
}

/** Unique keys that people choose. */
const CHOSEN = new Set(['accounts_username']);
const RETRYABLE = new Set(['40001', '40P01', '23505']);
type Coded = { code?: string; cause?: Coded } | null;
/** drizzle wraps what Postgres said. */
const codeOf = (error: unknown): string | undefined =>
  (error as Coded)?.code ?? (error as Coded)?.cause?.code;

/** Whether deciding again on fresher rows may succeed: also for what Postgres broke off while locks were taken. */
export const isStale = (error: unknown): boolean =>
  error instanceof VersionConflict || codeOf(error) === '40001' || codeOf(error) === '40P01';

/** The error of a commit, translated: UniqueViolation for a name that people choose, VersionConflict for what may be decided again. */
export function conflictOf(error: unknown): unknown {
  const code = codeOf(error);
  const { constraint_name: constraint = '' } = error as { constraint_name?: string };
  if (code === '23505' && CHOSEN.has(constraint)) return new UniqueViolation(constraint, { cause: error });
  return code && RETRYABLE.has(code) ? new VersionConflict({ cause: error }) : error;
}
