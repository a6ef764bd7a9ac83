/** The contacts another system had proven, read as strictly as those of a request. An unproven one is as good as none. */
import type { ContactPoint } from '../../../db/contacts.ts';
import { phoneReader } from '../../http/request-context.ts';
import type { Services } from '../../http/services.ts';
import { parseEmail } from '../../kernel/identifiers/index.ts';
import { Problem } from '../../kernel/problems.ts';
import type { ImportedUser } from './formats.ts';

export type ImportContact = ContactPoint;

/** The address first when there is one; `unread` when a proven contact is none that is served here. */
export function provenContacts(
  { config, keyring }: Pick<Services, 'config' | 'keyring'>,
  user: ImportedUser,
): { contacts: ImportContact[]; unread: boolean } {
  const contacts: ImportContact[] = [];
  let unread = false;
  const read = (type: ImportContact['type'], parse: () => { canonical: string; value: string }) => {
    try {
      const point = parse();
      contacts.push({ id: keyring.lookupId(type, point.canonical), type, ...point });
    } catch (error) {
      if (!(error instanceof Problem)) throw error;
      unread = true;
    }
  };
  const { email, phone } = user;
  if (email && user.emailVerified) {
    read('email', () => {
      const { canonical, original } = parseEmail(email);
      return { canonical, value: original };
    });
  }
  if (phone && user.phoneVerified) {
    read('phone', () => {
      const { e164 } = phoneReader(config)(phone);
      return { canonical: e164, value: e164 };
    });
  }
  return { contacts, unread };
}
