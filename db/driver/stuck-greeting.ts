/**
 * Fault of postgres 3.4.9: a connection that breaks with a write pending keeps the cancelled timer of that write, so it
 * never writes its next greeting until 1024 bytes have gathered, and every reconnect ends in CONNECT_TIMEOUT.
 * https://github.com/porsager/postgres/pull/1209, https://github.com/porsager/postgres/pull/1215
 */

/** What the driver writes at once, without the timer. */
const WRITTEN_AT_ONCE = 1024;

/** A number among the connection's parameters, so long that the greeting that holds it is written at once. */
export const longGreeting = (value: number): number =>
  String(value).padEnd(WRITTEN_AT_ONCE) as unknown as number;

const SPARE = 'standard_conforming_strings';

/** For poolers, which take few parameters: one of those in many spellings. Postgres heeds no capitals in names. */
export const longPooledGreeting = (): Record<string, string> =>
  Object.fromEntries(
    Array.from({ length: Math.ceil(WRITTEN_AT_ONCE / SPARE.length) }, (_, at) => [
      SPARE.replace(/[a-z]/g, (letter, i: number) => ((at >> (i % 6)) & 1 ? letter.toUpperCase() : letter)),
      'on',
    ]),
  );
