/** Recognises "the database cannot serve this now" among its errors, so that it is never taken for a bug. */

/** postgres.js's own connection codes, Node's socket codes, and SQLSTATEs of outage, overload and full disks. */
const OUTAGE =
  /^(CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|ECONN(REFUSED|RESET)|EPIPE|ENOTFOUND|ENOENT|ETIMEDOUT|EHOSTUNREACH|08\w{3}|53\w{3}|57P0[1-5]|57014|55P03|25006|28000|28P01|3D000|25P0[23]|40001|40P01)$/;

/** The connection itself is gone, or is being ended by the server. */
const LOST =
  /^(CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|ECONN(REFUSED|RESET)|EPIPE|ETIMEDOUT|08\w{3}|57P0[1-5]|25P03)$/;

/** Looks through wrappers. */
export const isOutage = (error: unknown): boolean => hasCode(error, OUTAGE);

/** Nothing more can be sent on the connection the error came from. */
export const isLostConnection = (error: unknown): boolean => hasCode(error, LOST);

function hasCode(error: unknown, codes: RegExp): boolean {
  let e = error as { code?: unknown; cause?: unknown } | null | undefined;
  for (let depth = 0; e && depth < 5; depth++) {
    if (typeof e.code === 'string' && codes.test(e.code)) return true;
    e = e.cause as typeof e;
  }
  return false;
}
