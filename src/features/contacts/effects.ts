/** What adding, removing and undoing ask for, as rows of the commit. Pure: no query, no clock. */
import { endProofs } from '../../../db/contact-changes.ts';
import * as contacts from '../../../db/contacts.ts';
import type { OwnEffects } from '../../engine/effects.ts';

export const effects = {
  preferContact: (p, c) => {
    c.changes.rows.push(contacts.demoteOthers(p.contactId, p.accountId));
  },
  releaseContact: (p, c) => {
    c.changes.rows.push(contacts.removeOne(p.contactId, p.accountId, c.changes.now, p.successor));
  },
  restoreContact: (p, c) => {
    c.changes.rows.push(
      contacts.restore(p.contactId, p.accountId, c.changes.now),
      contacts.demoteOthers(p.contactId, p.accountId, p.instead),
    );
  },
  endProofs: (p, c) => {
    c.changes.rows.push(endProofs(p.contactId, p.accountId));
  },
} satisfies OwnEffects;
