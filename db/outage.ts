/** Recognises "the database cannot serve this now" among its errors, so that it is never taken for a bug. */

/** postgres.js's own connection codes, Node's socket codes, and SQLSTATEs of outage, overload and full disks. */
const OUTAGE =
  /^(CONNECTION_(CLOSED|ENDED|DESTROYED)|CONNECT_TIMEOUT|ECONN(REFUSED|RESET)|EPIPE|ENOTFOUND|ENOENT|ETIMEDOUT|EHOSTUNREACH|08\w{3}|53\w{3}|57P0[1-5]|57014|55P03|25006|28000|28P01|3D000|25P0[23]|40001|40P01)$/;

/** Looks through wrappers. */
export function isOutage(error: unknown): boolean {
  let e = error as { code?: unknown; cause?: unknown } | null | undefined;
  for (let depth = 0; e && depth < 5; depth++) {
    if (typeof e.code === 'string' && OUTAGE.test(e.code)) return true;
    e = e.cause as typeof e;
  }
  return false;
}
