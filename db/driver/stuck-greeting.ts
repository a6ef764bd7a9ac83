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
