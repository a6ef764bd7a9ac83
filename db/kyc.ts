/** Writes and reads of KYC records. The document number is sealed before it comes here. */

import type { Database } from './client.ts';
import { and, desc, eq, ne, sql } from './driver/drizzle.ts';
import { kycRecords } from './schema.ts';
import { insert, update, type WriteFragment } from './write/fragment.ts';

export type SealedDocument = {
  documentType: 'PAN' | 'AADHAAR' | 'PASSPORT';
  numberSealed: string;
  numberHash: string;
  numberLast4: string;
};

/** What a document number is sealed for, and opens for alone. */
export const numberContext = ({ id, accountId }: { id: string; accountId: string }): string =>
  `kyc|${accountId}|${id}|number`;

export const record = (
  row: { id: string; accountId: string; flowId: string } & SealedDocument,
  now: Date,
): WriteFragment => insert(kycRecords, [{ ...row, status: 'PENDING', submittedAt: now }]);

export const decide = (
  id: string,
  decision: {
    status: 'VERIFIED' | 'REJECTED' | 'REVOKED';
    reason: string | null;
    retryable: boolean;
    by: string;
  },
  now: Date,
): WriteFragment =>
  update(
    kycRecords,
    {
      status: decision.status,
      reason: decision.reason,
      retryable: decision.retryable,
      decidedAt: now,
      decidedBy: decision.by,
    },
    { sql: 'id = ?', params: [id] },
    { expectRows: 1 },
  );

export function createKycStore(db: Database) {
  const byId = db.reads
    .select()
    .from(kycRecords)
    .where(eq(kycRecords.id, sql.placeholder('id')))
    .prepare('kyc_by_id');
  const latest = db.reads
    .select()
    .from(kycRecords)
    .where(eq(kycRecords.accountId, sql.placeholder('accountId')))
    .orderBy(desc(kycRecords.submittedAt))
    .limit(1)
    .prepare('kyc_latest');
  return {
    byId: async (id: string) => (await byId.execute({ id }))[0],
    latestOf: async (accountId: string) => (await latest.execute({ accountId }))[0],
    /** Whether another account has already been verified with this document. */
    async takenByAnother(id: string): Promise<boolean> {
      const [mine] = await byId.execute({ id });
      if (!mine) return false;
      const rows = await db.reads
        .select({ id: kycRecords.id })
        .from(kycRecords)
        .where(
          and(
            eq(kycRecords.documentType, mine.documentType),
            eq(kycRecords.numberHash, mine.numberHash),
            // A constant, because a parameter does not match the condition of a partial index.
            sql`${kycRecords.status} = 'VERIFIED'`,
            ne(kycRecords.accountId, mine.accountId),
          ),
        )
        .limit(1);
      return rows.length > 0;
    },
  };
}
