/** What Postgres itself said. drizzle's own message quotes the statement with its parameters, so it is never passed on. */

type Wrapped = Error & { cause?: unknown; code?: string; query?: string };

/** The innermost error: Postgres's, or the network's. */
export function rootOf(error: unknown): Wrapped {
  let root = error as Wrapped;
  for (let depth = 0; depth < 5 && root.cause instanceof Error; depth++) root = root.cause as Wrapped;
  return root;
}

/** One line: Postgres's words and its SQLSTATE. */
export function wordsOf(error: unknown): string {
  const { message, code } = rootOf(error);
  const words = message.replace(/\s+/g, ' ').trim();
  return code === undefined || words.includes(code) ? words : `${words} (${code})`;
}
