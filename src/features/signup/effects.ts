/** What its machine alone asks for, as rows of the commit. Pure: no query, no clock. */
import * as contacts from '../../../db/contacts.ts';
import * as credentials from '../../../db/credentials.ts';
import type { OwnEffects } from '../../engine/effects.ts';
import { accountChange } from '../../engine/records.ts';

export const effects = {
  discardRegistration: (p, c) => {
    accountChange(c, p.accountId).patch.username = null;
    c.changes.rows.push(credentials.forget(p.accountId), credentials.forgetProfile(p.accountId));
  },
  archiveContact: (p, c) => {
    c.changes.before.push(...contacts.archive(p.contactId, c.changes.now));
  },
} satisfies OwnEffects;
