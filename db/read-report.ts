/** One read of a report: on the lane of reports, where it never stands in the way of a request, and read-only. */
import type { Database } from './client.ts';

export type Row = Record<string, unknown>;

export const readReport = (
  db: Pick<Database, 'report'>,
  text: string,
  params: unknown[] = [],
): Promise<Row[]> =>
  db.report(async (tx) => {
    await tx.unsafe('set transaction read only');
    return [...((await tx.unsafe(text, params as never[], { prepare: true })) as Row[])];
  });
