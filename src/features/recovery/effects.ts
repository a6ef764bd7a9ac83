/** What a reset of the password asks for, as rows of the commit. Pure: no query, no clock. */
import { cancelPendingFlows } from '../../../db/contact-changes.ts';
import { archiveOthers } from '../../../db/other-flows.ts';
import type { OwnEffects } from '../../engine/effects.ts';

export const effects = {
  cancelPendingFlows: (p, c) => {
    c.changes.rows.push(cancelPendingFlows(p.accountId));
  },
  supersedeFlows: (p, c) => {
    c.changes.rows.push(archiveOthers(c.flow, p.contactId));
  },
} satisfies OwnEffects;
