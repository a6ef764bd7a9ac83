/** What sign-up asks of this slice, as rows of the commit. Pure: no query, no clock. */
import * as kyc from '../../../db/kyc.ts';
import { enclosed, type OwnEffects } from '../../engine/effects.ts';
import { enqueue } from '../../engine/records.ts';

export const effects = {
  recordKyc: (p, c) => {
    const document = enclosed(c.enclosures.kyc, 'kyc');
    c.changes.rows.push(
      kyc.record({ id: p.kycId, accountId: p.accountId, flowId: c.flow.id, ...document }, c.changes.now),
    );
  },
  requestKyc: (p, c) => enqueue(c, 'kyc.submit', p.accountId, { kycId: p.kycId }),
  decideKyc: (p, c) => {
    c.changes.rows.push(kyc.decide(p.kycId, p, c.changes.now));
  },
} satisfies OwnEffects;
